"""Kafka can be published for producers outside of the stack, and is not unless somebody wishes it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from infra.local import ports
from tests.containers.stack import COMPOSE, Stack, require_engine, stack

pytestmark = pytest.mark.containers

EVENT = {
    "eventId": "from-outside",
    "type": "login",
    "timestamp": "2025-05-18T14:00:00Z",
    "payload": {"userId": "u123", "ip": "203.0.113.45", "device": "Chrome on macOS"},
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, int]]:
    """A stack whose Kafka is published, and the port."""
    require_engine()
    [port] = ports.free(1, [])
    settings = {
        "COMPOSE_PROFILES": "core",
        "MILLRACE_PUSHGATEWAY_URL": "",
        "GRAFANA_PROFILE": "none",
        "COMPOSE_FILE": f"{COMPOSE}:{COMPOSE.parent / 'compose.kafka.yaml'}",
        "KAFKA_PORT": str(port),
        "KAFKA_PUBLISHED_AS": f"localhost:{port}",
    }
    with stack(tmp_path_factory.mktemp("published"), **settings) as made:
        chosen = Stack(made.directory, made.name, None)
        chosen.up()
        yield chosen, port


def test_a_producer_on_the_host_sends_events(published: tuple[Stack, int]) -> None:
    running, port = published
    producer = Producer({"bootstrap.servers": f"localhost:{port}", "message.timeout.ms": 30_000})
    failed: list[object] = []
    producer.produce(
        "user-events", json.dumps(EVENT), on_delivery=lambda error, _: failed.append(error) if error else None
    )
    assert producer.flush(40) == 0
    assert not failed
    running.reconcile()
    assert running.query("select type, user_id from raw.events") == ["login|u123"]


def test_it_is_published_on_loopback_beside_the_web_server(published: tuple[Stack, int]) -> None:
    running, port = published
    found = {
        (service, binding["HostIp"], int(binding["HostPort"]) == port)
        for service, container in running.containers().items()
        for bindings in (container["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    }
    assert found == {("kafka", "127.0.0.1", True), ("webserver", "127.0.0.1", False)}


def test_the_way_it_is_documented_is_the_way_it_was_done_here() -> None:
    text = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()
    assert "COMPOSE_FILE=compose.yaml:compose.kafka.yaml" in text
    assert "KAFKA_PUBLISHED_AS=" in text
