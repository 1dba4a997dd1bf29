# pyright: basic, reportMissingImports=false
"""The user data: it hands over to the release, and a start that fails is told to CloudFormation at once.

Run by `make test-aws`: signatures are checked with botocore, which the tests' own environment does not have.
"""

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.aws.template import load

REGION = "eu-central-1"
KEYS = Credentials("AKIDEXAMPLE", "secret/+key", "a/session+token==")
METADATA = {
    "/latest/meta-data/iam/security-credentials/": "the-role",
    "/latest/meta-data/iam/security-credentials/the-role": json.dumps(
        {"Code": "Success", "AccessKeyId": KEYS.access_key, "SecretAccessKey": KEYS.secret_key, "Token": KEYS.token},
        indent=2,
        separators=(",", " : "),  # as Amazon has it
    ),
    "/latest/meta-data/instance-id": "i-1",
}


class Server(ThreadingHTTPServer):
    """What CloudFormation was sent (path, headers, body), and the release that may be had."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Amazon)
        self.signals: list[tuple[str, dict[str, str], bytes]] = []
        self.release = b""


class Amazon(BaseHTTPRequestHandler):
    """The metadata service, which wants a session, and CloudFormation, which keeps what it is sent."""

    def do_PUT(self) -> None:
        self._answer("a-session" if self.path == "/latest/api/token" else None)

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        if self.path == "/owner/millrace/archive/v9.tar.gz":
            self._answer(self.server.release or None)
            return
        asked_well = self.headers["X-aws-ec2-metadata-token"] == "a-session"
        self._answer(METADATA.get(self.path) if asked_well else None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Server)
        self.server.signals.append((self.path, dict(self.headers), body))
        self._answer("")

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, text: str | bytes | None) -> None:
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write(text if isinstance(text, bytes) else (text or "").encode())


@pytest.fixture
def amazon() -> Iterator[Server]:
    """It runs."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def user_data(server: Server) -> str:
    """The script as the instance gets it, with the servers of this test for Amazon's."""
    text = load()["Resources"]["Host"]["Properties"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    values = {"Region": REGION, "StackName": "events", "StackId": "arn:stack/events/1", "URLSuffix": "amazonaws.com"}
    for name, value in values.items():
        text = text.replace(f"${{AWS::{name}}}", value)
    text = text.replace("${Repository}", "owner/millrace").replace("${Ref}", "v9")
    assert "${" not in text
    here = f"http://127.0.0.1:{server.server_port}"
    assert f"https://cloudformation.{REGION}.amazonaws.com/" in text
    for theirs in ("http://169.254.169.254", f"https://cloudformation.{REGION}.amazonaws.com"):
        text = text.replace(theirs, here)
    return text.replace("https://github.com", here)


def start(script: str, folder: Path, failing: str = "") -> int:
    """Run it with stand-ins for what would change this machine; one of them may fail."""
    for name in ("systemctl", "apt-get"):
        (folder / name).write_text(f"#!/bin/sh\n[ {name} != '{failing}' ]\n")
        (folder / name).chmod(0o755)
    script = script.replace("/var/lib/millrace-release", str(folder / "release"))
    own = {"PATH": f"{folder}:{os.environ['PATH']}", "http_proxy": "", "no_proxy": "*"}
    return subprocess.run(["bash", "-c", script], env=own, capture_output=True, text=True, check=False).returncode


def release(installer: str) -> bytes:
    """An archive as GitHub makes it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as opened:
        entry = tarfile.TarInfo("millrace-9/infra/aws/host/install.sh")
        entry.mode, entry.size = 0o755, len(installer)
        opened.addfile(entry, io.BytesIO(installer.encode()))
    return archive.getvalue()


def test_a_start_that_goes_well_is_left_to_the_release_to_tell(amazon: Server, tmp_path: Path) -> None:
    amazon.release = release(f'#!/bin/sh\necho "$@" >{tmp_path}/given\n')
    assert start(user_data(amazon), tmp_path) == 0
    assert (tmp_path / "given").read_text() == f"events {REGION}\n"
    assert amazon.signals == []


FAILURES = {
    "a package is missing": ("apt-get", b""),
    "there is no such release": ("", b""),
    "what was fetched is no release": ("", b"<html>"),
    "the release cannot be installed": ("", release("#!/bin/sh\nexit 7\n")),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_start_that_fails_is_told_to_cloudformation_at_once(failure: str, amazon: Server, tmp_path: Path) -> None:
    failing, amazon.release = FAILURES[failure]
    assert start(user_data(amazon), tmp_path, failing) != 0
    [(path, headers, body)] = amazon.signals
    said = {name: value for name, [value] in parse_qs(body.decode()).items()}
    assert said == {
        "Action": "SignalResource",
        "Version": "2010-05-15",
        "StackName": "arn:stack/events/1",
        "LogicalResourceId": "Host",
        "UniqueId": "i-1",
        "Status": "FAILURE",
    }
    assert headers["Authorization"] == signature(path, headers, body)


def signature(path: str, headers: dict[str, str], body: bytes) -> str:
    """What Amazon computes of the same request."""
    signed = headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    given = {name: value for name, value in headers.items() if name.lower() in signed}
    request = AWSRequest("POST", f"http://{headers['Host']}{path}", headers=given, data=body)
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(KEYS, "cloudformation", REGION)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    scope = auth.scope(request)
    proof = auth.signature(text, request)
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(signed)}, Signature={proof}"
