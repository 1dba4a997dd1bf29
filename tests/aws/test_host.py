"""What the host makes of the stack's choice of services; the settings are checked by Millrace's own loader."""

import importlib.util
import json
from typing import Any

import pytest

from millrace.orchestration.settings import load
from tests.aws.template import PATH

SECRET = json.dumps({"username": "millrace", "password": "p4ss"})
CONTAINERS = {
    "profiles": "core,monitoring,proxy",
    "domain": "millrace.example.org",
    "postgres": "container",
    "postgres_host": "",
    "postgres_secret": "arn:p",
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


def stack() -> Any:
    spec = importlib.util.spec_from_file_location("host_stack", PATH.parent / "host" / "stack.py")
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
    assert {lines[f"{name}_CONTAINERS"] for name in ("KAFKA", "POSTGRES", "REDIS", "BROKER")} == {"1"}
    assert lines["MILLRACE_NETWORK_INTERNAL"] == "true"
    assert settings(CONTAINERS, "").postgres_url == "postgresql://millrace:p4ss@postgres:5432/millrace"


def test_with_managed_services_every_connection_is_encrypted_and_no_container_is_in_their_place() -> None:
    lines = stack().lines(MANAGED, "b1:9096,b2:9096")
    assert {lines[f"{name}_CONTAINERS"] for name in ("KAFKA", "POSTGRES", "REDIS", "BROKER")} == {"0"}
    assert lines["MILLRACE_NETWORK_INTERNAL"] == "false"
    made = settings(MANAGED, "b1:9096,b2:9096")
    assert made.postgres_url == "postgresql://millrace:p4ss@db.example.org:5432/millrace?sslmode=require"
    assert made.redis_url == "rediss://:p4ss@claims.example.org:6379/0?ssl_cert_reqs=required"
    assert made.broker_url == "rediss://:p4ss@broker.example.org:6379/0?ssl_cert_reqs=required"
    assert made.kafka_options["security.protocol"] == "SASL_SSL"
    assert made.kafka_options["sasl.mechanism"] == "SCRAM-SHA-512"
    assert made.kafka_bootstrap_servers == "b1:9096,b2:9096"
    assert "p4ss" not in json.dumps(lines)


@pytest.mark.parametrize("name", ["postgres", "redis", "kafka"])
def test_one_managed_service_is_enough_to_need_a_way_out(name: str) -> None:
    assert stack().lines({**CONTAINERS, name: "managed"}, "")["MILLRACE_NETWORK_INTERNAL"] == "false"
