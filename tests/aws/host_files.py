# pyright: basic, reportMissingImports=false
"""What the host writes: Kafka's token, which MSK must take, and lines of `.env`. `make test-aws` runs it.

What belongs here: what needs boto3 and no stack. What does not: what needs neither (`test_host`).
"""

import base64
import json
import os
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.stub import Stubber

from tests.aws.template import PATH

sys.path.insert(0, str(PATH.parent / "host"))
import host
import kafka_token
import written

REGION = "eu-central-1"
KEYS = Credentials("AKIDEXAMPLE", "secret/+key", "a/session+token==")


def test_a_token_is_a_request_to_connect_that_is_signed_and_ends() -> None:
    token = kafka_token.signed(REGION, KEYS)
    address = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    assert address.startswith(f"https://kafka.{REGION}.amazonaws.com/?Action=kafka-cluster%3AConnect&")
    asked = {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}
    assert (asked["X-Amz-Expires"], asked["X-Amz-SignedHeaders"]) == ("900", "host")
    assert asked["X-Amz-Credential"].endswith(f"/{REGION}/kafka-cluster/aws4_request")
    assert asked["X-Amz-Security-Token"] == KEYS.token
    again = AWSRequest("GET", address.partition("&X-Amz-Signature")[0])
    again.context["timestamp"] = asked["X-Amz-Date"]
    auth = SigV4QueryAuth(KEYS, "kafka-cluster", REGION, expires=900)
    assert asked["X-Amz-Signature"] == auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)


def test_the_token_is_renewed_in_one_step_for_its_reader_alone_and_goes_when_nobody_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: list[int] = []
    monkeypatch.setattr(os, "chown", lambda _path, user, _group: owners.append(user))
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("DEFAULT_REGION", REGION)):
        monkeypatch.setenv(f"AWS_{name}", value)
    place = tmp_path / "kafka_token"
    kafka_token.renew({"kafka": "msk-iam"}, place)
    first = json.loads(place.read_text())
    assert 800 < first["expires"] - place.stat().st_mtime <= 900
    assert place.stat().st_mode & 0o077 == 0
    assert owners == [10001]
    assert [path.name for path in tmp_path.iterdir()] == ["kafka_token"]
    kafka_token.renew({"kafka": "container"}, place)
    assert not place.exists()


@pytest.mark.parametrize(("kafka", "key"), [("msk-scram", "SaslScram"), ("msk-iam", "SaslIam")])
def test_the_brokers_of_msk_are_those_of_its_login(kafka: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("kafka", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
    config = {"kafka": kafka, "kafka_cluster": "arn:aws:kafka:x:1:cluster/events/1", "kafka_servers": ""}
    with Stubber(client) as stubbed:
        stubbed.add_response("get_bootstrap_brokers", {f"BootstrapBrokerString{key}": "b1:9098"})
        monkeypatch.setattr(boto3, "client", lambda _name: client)
        assert host.brokers(config) == "b1:9098"


def test_lines_of_the_host_replace_their_own_and_nobody_elses(tmp_path: Path) -> None:
    settings = tmp_path / ".env"
    settings.write_text("# mine\nMILLRACE_LANES=8\nCOMPOSE_FILE=compose.yaml:compose.kafka.yaml\nKAFKA_PROFILE=core\n")
    for _ in range(2):
        written.merge(settings, {"KAFKA_PROFILE": "none"}, outside=True)
        assert settings.read_text() == (
            "# mine\nMILLRACE_LANES=8\nKAFKA_PROFILE=none\n"
            "COMPOSE_FILE=compose.yaml:compose.kafka.yaml:../aws/compose.yaml\n"
        )
    assert settings.stat().st_mode & 0o077 == 0
