"""What the host makes of the stack's choice of services; the settings are checked by Millrace's own loader."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.docker import deployment_files
from orchestration.settings import load
from resources import kafka_token
from tests.aws.template import PATH

SECRET = json.dumps({"username": "millrace", "password": "p4ss"})
COMPOSE = PATH.parents[1] / "docker" / "compose.yaml"
OVERLAY = PATH.parent / "compose.yaml"
SERVICES = ("KAFKA", "POSTGRES", "REDIS", "BROKER")
CONTAINERS = {
    "profiles": "core,monitoring,proxy",
    "domain": "millrace.example.org",
    "postgres": "container",
    "postgres_host": "",
    "postgres_secret": "arn:p",
    "service_secret": "arn:s",
    "grafana_secret": "arn:g",
    "redis": "container",
    "redis_secret": "",
    "claims_host": "",
    "broker_host": "",
    "kafka": "container",
    "kafka_secret": "",
}
MANAGED = {
    **CONTAINERS,
    "postgres": "rds",
    "postgres_host": "db.example.org",
    "redis": "elasticache",
    "redis_secret": "arn:r",
    "claims_host": "claims.example.org",
    "broker_host": "broker.example.org",
    "kafka": "msk-scram",
    "kafka_secret": "arn:k",
}


def stack(name: str = "stack") -> Any:
    """A program of the host."""
    spec = importlib.util.spec_from_file_location(f"host_{name}", PATH.parent / "host" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def secret(_arn: str) -> str:
    return SECRET


def settings(config: dict[str, str], servers: str) -> Any:
    """As a container would read them."""
    names = {"postgres_url", "redis_url", "broker_url", "kafka_options"}
    secrets = {k: v for k, v in stack().secrets(config, secret).items() if k in names}
    init = {"redis_url": "redis://:x@redis:6379/0", "broker_url": "redis://:x@broker:6379/0"}
    given = {f"MILLRACE_{k.upper()}": v for k, v in {**init, **secrets}.items()}
    lines = {k: v for k, v in stack().lines(config, servers).items() if k.startswith("MILLRACE_KAFKA")}
    return load({**given, **lines})


def test_with_containers_nothing_leaves_the_host() -> None:
    lines = stack().lines(CONTAINERS, "")
    assert {lines[f"{name}_PROFILE"] for name in SERVICES} == {"core"}
    assert lines["MILLRACE_NETWORK_INTERNAL"] == "true"
    assert settings(CONTAINERS, "").postgres_url == "postgresql://millrace_service:p4ss@postgres:5432/millrace"


def test_with_managed_services_every_connection_is_encrypted_and_no_container_is_in_their_place() -> None:
    lines = stack().lines(MANAGED, "b1:9096,b2:9096")
    assert {lines[f"{name}_PROFILE"] for name in SERVICES} == {"none"}
    assert lines["MILLRACE_NETWORK_INTERNAL"] == "false"
    made = settings(MANAGED, "b1:9096,b2:9096")
    verified = "@db.example.org:5432/millrace?sslmode=verify-full&sslrootcert=/run/outside/rds.pem"
    assert made.postgres_url == f"postgresql://millrace_service:p4ss{verified}"
    assert stack().secrets(MANAGED, secret)["postgres_owner_url"] == f"postgresql://millrace:p4ss{verified}"
    assert lines["MILLRACE_ANALYST_HOST"] == "db.example.org:5432"
    assert lines["MILLRACE_ANALYST_SSLMODE"] == "verify-full"
    assert lines["MILLRACE_ANALYST_SSLROOTCERT"] == "/run/outside/rds.pem"
    assert made.redis_url == "rediss://:p4ss@claims.example.org:6379/0?ssl_cert_reqs=required"
    assert made.broker_url == "rediss://:p4ss@broker.example.org:6379/0?ssl_cert_reqs=required"
    assert made.kafka_options["security.protocol"] == "SASL_SSL"
    assert made.kafka_options["sasl.mechanism"] == "SCRAM-SHA-512"
    assert made.kafka_bootstrap_servers == "b1:9096,b2:9096"
    assert "p4ss" not in json.dumps(lines)


@pytest.mark.parametrize("name", ["postgres", "redis", "kafka"])
def test_one_managed_service_is_enough_to_need_a_way_out(name: str) -> None:
    assert stack().lines({**CONTAINERS, name: "managed"}, "")["MILLRACE_NETWORK_INTERNAL"] == "false"


def test_amazons_kafka_with_iam_is_opened_by_a_token_that_the_host_renews() -> None:
    options = settings({**MANAGED, "kafka": "msk-iam", "kafka_secret": ""}, "b1:9098").kafka_options
    assert (options["security.protocol"], options["sasl.mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    [mount] = yaml.safe_load(OVERLAY.read_text())["x-outside"]["volumes"]
    assert options[kafka_token.FILE].startswith(mount["target"] + "/")
    program = (PATH.parent / "host" / "host.py").read_text()
    assert 'OUTSIDE = volume.MOUNT / "outside"' in program
    assert mount["source"] == str(stack("volume").MOUNT / "outside")


def test_what_the_host_writes_is_what_compose_and_init_read() -> None:
    text = COMPOSE.read_text() + OVERLAY.read_text()
    read = set(re.findall(r"\$\{([A-Z_]+)", text)) | {"COMPOSE_PROFILES", "MILLRACE_PUSHGATEWAY_URL"}
    assert set(stack().lines(MANAGED, "")) <= read
    named = {Path(each["file"]).name for each in yaml.safe_load(COMPOSE.read_text())["secrets"].values()}
    assert set(stack().secrets(MANAGED, secret)) <= named


def test_the_processes_of_amazons_services_see_the_folder_that_is_renewed() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    ours = {name for name, each in services.items() if "postgres_url" in each.get("secrets", ())} | {"producer"}
    outside = yaml.safe_load(OVERLAY.read_text())["services"]
    assert {name for name, each in outside.items() if "volumes" in each} == {*ours, "grafana"}


def test_grafana_is_given_the_authorities_that_it_checks_by_and_not_kafkas_token() -> None:
    [mount] = yaml.safe_load(OVERLAY.read_text())["services"]["grafana"]["volumes"]
    assert mount["target"] == stack().lines(MANAGED, "")["MILLRACE_ANALYST_SSLROOTCERT"]
    assert mount["source"] == str(stack("volume").MOUNT / "outside" / "rds.pem")
    assert mount["read_only"]


def test_init_completes_what_the_host_has_written(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name, text in stack().secrets(MANAGED, secret).items():
        (tmp_path / "secrets" / name).write_text(text)
    made = {path.name for path in deployment_files.initialise(tmp_path)}
    assert ".env" in made
    assert not made & set(stack().secrets(MANAGED, secret))


@pytest.mark.parametrize(
    ("now", "outside", "after"),
    [
        ("", False, "compose.yaml"),
        ("", True, "compose.yaml:../aws/compose.yaml"),
        ("compose.yaml:compose.kafka.yaml", True, "compose.yaml:compose.kafka.yaml:../aws/compose.yaml"),
        ("compose.yaml:compose.kafka.yaml:../aws/compose.yaml", False, "compose.yaml:compose.kafka.yaml"),
    ],
)
def test_files_that_the_owner_of_the_host_has_added_stay(now: str, outside: bool, after: str) -> None:
    assert stack().files(now, outside=outside) == after
    assert stack().files(after, outside=outside) == after


def test_a_volume_is_new_only_when_it_can_be_read_and_nothing_is_on_it(tmp_path: Path) -> None:
    is_new = stack("volume").is_new
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 21))
    assert is_new(disk)
    with disk.open("r+b") as opened:
        opened.seek(1080)  # where ext4 has its sign
        opened.write(b"\x53\xef")
    assert not is_new(disk)
    with pytest.raises(OSError, match="No such"):
        is_new(tmp_path / "gone")
