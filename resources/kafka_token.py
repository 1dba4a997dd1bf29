"""SASL/OAUTHBEARER with a token from a file, which somebody keeps fresh who may sign: a sidecar, or the host on EC2.

What belongs here: from our options to librdkafka's. What does not: making tokens (`infra/aws/host/kafka_token.py`), so
no library of a cloud, and no credentials of one, are needed where events are read.
"""

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException

FILE = "millrace.token.file"


def properties(options: Mapping[str, str]) -> dict[str, Any]:
    """What a Kafka client takes: the options, with something that reads the token in place of its file's name.

    The file holds `{"token": ..., "expires": seconds since 1970}`, and `principal` where the broker wants one. A client
    reads it when it starts, and again when four fifths of the token's life are over.

    Raises:
        KafkaException: the file holds no token that is good now. The client itself would wait 10 s, and not say why.
    """
    chosen: dict[str, Any] = {name: value for name, value in options.items() if name != FILE}
    if FILE in options:
        chosen["oauth_cb"] = partial(_token, Path(options[FILE]))
        chosen["oauth_cb"]("")
    return chosen


def _token(file: Path, _config: str) -> tuple[str, float, str, dict[str, str]]:
    """What is raised here while a client runs reaches its error call-back; librdkafka asks again after 10 s."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        token, expires, principal = str(found["token"]), float(found["expires"]), str(found.get("principal", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The text must not quote the file: it may be a token after all, put there without its braces.
        raise _refusal(f"{file} holds no token ({type(error).__name__})") from None
    if (late := time.time() - expires) >= 0:
        raise _refusal(f"the token in {file} has expired {late:.0f} s ago; who renews it?")
    return token, expires, principal, {}


def _refusal(text: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._AUTHENTICATION, text))  # noqa: SLF001 - so named
