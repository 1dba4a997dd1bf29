"""What runs on the EC2 host, with a real engine: from what CloudFormation says to containers that are healthy."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local import ports
from tests.aws.template import load
from tests.aws.test_host import CONTAINERS
from tests.containers.stack import IMAGE, ROOT, Stack, nginx, require_engine, stack
from tests.containers.test_proxy import answer
from tests.security.authority import Authority

pytestmark = pytest.mark.containers

# Every key that the template tells, empty where nothing is chosen.
_KEYS: dict[str, str] = json.loads(load()["Resources"]["HostConfig"]["Properties"]["Value"]["Fn::Sub"][0])
_CONFIG = {
    **dict.fromkeys(_KEYS, ""),
    **CONTAINERS,
    "repository": "owner/millrace", "ref": "v1.0.0", "volume": "vol-1", "bucket": "bucket", "domain": "localhost",
    "proxy_secret": "arn:x",
}  # fmt: skip
_SECRETS = {
    name: {"username": "millrace", "password": f"made-by-amazon-{name[-1]}"}
    for name in ("arn:p", "arn:s", "arn:x", "arn:g")
}


@dataclass(frozen=True)
class Host:
    """A folder in place of the data volume, with the release on it."""

    place: Path
    running: Stack
    port: int

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of its programs, as its unit starts it."""
        own = {"MILLRACE_STACK": "events", "MILLRACE_RELEASE": str(self.place / "delivered")}
        command = [sys.executable, "-m", "tests.containers.ec2_host", str(self.place), program, *arguments]
        path = f"{self.place / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **own, "PATH": path}, capture_output=True, text=True, check=False
        )

    def figures(self) -> dict[str, float]:
        """What CloudWatch was told last."""
        told: list[dict[str, Any]] = json.loads((self.place / "figures.json").read_text())
        return {each["MetricName"]: each["Value"] for each in told}


def delivered(place: Path) -> None:
    """The release as user data unpacks it, and a systemctl that has nothing to do."""
    for folder in ("infra", "monitoring"):
        shutil.copytree(ROOT / folder, place / "delivered" / folder)
    (place / "bin").mkdir()
    (place / "bin" / "systemctl").write_text("#!/bin/sh\n")
    (place / "bin" / "systemctl").chmod(0o755)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One that has been started."""
    require_engine()
    place = tmp_path_factory.mktemp("volume")
    delivered(place)
    image, tag = IMAGE.split(":")
    answers = {"config": {**_CONFIG, "image": image, "tag": tag}, "secrets": _SECRETS}
    (place / "amazon.json").write_text(json.dumps(answers))
    deployment = place / "release" / "infra" / "docker"
    deployment.mkdir(parents=True)
    [port] = ports.free(1)
    own = {"PROXY_IMAGE": nginx(), "MILLRACE_PROXY_BIND": "127.0.0.1", "MILLRACE_PROXY_PORT": str(port)}
    with stack(deployment, **own) as made:
        started = Host(place, Stack(deployment, made.name, deployment / "compose.yaml"), port)
        done = started.run("host", "start")
        assert done.returncode == 0, done.stdout + done.stderr
        yield started


def test_the_containers_are_healthy_with_the_secrets_that_amazon_made(host: Host) -> None:
    found = host.running.containers()
    assert {"kafka", "postgres", "worker-ingest", "prometheus", "proxy"} <= set(found)
    assert {each["State"]["Health"]["Status"] for each in found.values()} == {"healthy"}
    assert (host.running.directory / "secrets" / "postgres_url").read_text().count("made-by-amazon-s") == 1
    host.running.produce("--count", "2000", "--fast")
    host.running.reconcile()
    users = "select distinct usename from pg_stat_activity where application_name like 'millrace%'"
    assert host.running.query(users) == ["millrace_service"]


def test_who_has_amazons_login_gets_through_the_proxy_and_nobody_else(host: Host) -> None:
    own = Authority(host.place)  # the host has signed its certificate itself
    (host.place / "authority.pem").write_text((host.running.directory / "secrets" / "proxy_certificate").read_text())
    page = f"https://localhost:{host.port}/server_info"
    logins = ("", "millrace:wrong", "millrace:made-by-amazon-x")
    assert [answer(page, own, login) for login in logins] == [401, 401, 200]


def test_a_second_start_changes_nothing(host: Host) -> None:
    before = {name: each["Id"] for name, each in host.running.containers().items()}
    settings = sorted((host.running.directory / ".env").read_text().splitlines())
    assert host.run("host", "start").returncode == 0
    assert {name: each["Id"] for name, each in host.running.containers().items()} == before
    assert sorted((host.running.directory / ".env").read_text().splitlines()) == settings


def test_a_backup_goes_to_the_bucket_and_cloudwatch_is_told_how_it_goes(host: Host) -> None:
    done = host.run("backup")
    assert done.returncode == 0, done.stderr
    [kept] = host.place.glob("bucket-postgres-millrace-*.dump")
    assert kept.stat().st_size > 10_000
    done = host.run("report")
    assert done.returncode == 0, done.stderr
    told = host.figures()
    assert told["UnhealthyContainers"] == 0
    assert 0 <= told["OldestUnreadSeconds"] < 60
    assert 0 <= told["BackupAgeSeconds"] < 300
