"""Tokens for Amazon MSK with IAM: signed here, with the host's own role, and read by the containers from a file.

What belongs here: the token and its file. What does not: when it is renewed (units/millrace-token.timer), and what it
opens (HostPolicy in millrace.yaml).
Containers reach no credentials of the host, by design: a token is all they get, and it opens Kafka for 15 minutes.
"""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import botocore.session
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

LIFE_SECONDS = 900  # what MSK allows at most
_READER = 10001  # the user of Millrace's containers


def renew(config: dict[str, str], place: Path) -> None:
    """Write a fresh token where Kafka is MSK with IAM; a reader finds the old one or the new one, each whole."""
    if config["kafka"] != "msk-iam":
        place.unlink(missing_ok=True)
        return
    session = botocore.session.Session()
    expires = time.time() + LIFE_SECONDS
    token = signed(session.get_config_variable("region"), session.get_credentials())
    fresh = place.with_name(place.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({"token": token, "expires": expires}))
    os.chown(fresh, _READER, _READER)
    fresh.replace(place)


def signed(region: str, credentials: Any) -> str:
    """A request to connect, signed and put into one word, as MSK's documents and Amazon's own signers have it."""
    address = f"https://kafka.{region}.amazonaws.com/"
    request = AWSRequest(method="GET", url=address, params={"Action": "kafka-cluster:Connect"})
    SigV4QueryAuth(credentials, "kafka-cluster", region, expires=LIFE_SECONDS).add_auth(request)
    address = f"{request.url}&User-Agent=millrace"
    return base64.urlsafe_b64encode(address.encode()).decode().rstrip("=")
