"""MILLRACE_KAFKA_OPTIONS: what exactness stands on cannot be set, and what can be is checked before anything starts."""

import json
import socket
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from orchestration.settings import SettingsError, load
from producer.client import connect
from producer.config import ProducerConfig
from resources import kafka_options
from resources.kafka import Kafka, KafkaUnavailable
from tests.orchestration.test_settings import GOOD

TLS_AND_SASL = {
    "security.protocol": "SASL_SSL",
    "ssl.ca.location": "/nowhere/ca.pem",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "millrace",
    "sasl.password": "hunter2",
}


def options(text: str | dict[str, Any]) -> dict[str, str]:
    """What the settings make of it."""
    given = text if isinstance(text, str) else json.dumps(text)
    return dict(load({**GOOD, "MILLRACE_KAFKA_OPTIONS": given}).kafka_options)


def refused(text: str | dict[str, Any]) -> str:
    """The one line that refuses it."""
    with pytest.raises(SettingsError) as caught:
        options(text)
    [line] = str(caught.value).splitlines()
    assert line.startswith("MILLRACE_KAFKA_OPTIONS: ")
    assert "hunter2" not in line
    return line


OWN = {
    "bootstrap.servers": "other:9092",
    "metadata.broker.list": "other:9092",
    "group.id": "x",
    "group.instance.id": "x",
    "group.protocol": "consumer",
    "partition.assignment.strategy": "range",
    "auto.offset.reset": "earliest",
    "enable.auto.commit": True,
    "auto.commit.enable": True,
    "auto.commit.interval.ms": 1,
    "offset.store.path": "/tmp",
    "enable.auto.offset.store": True,
    "isolation.level": "read_uncommitted",
    "enable.partition.eof": False,
    "check.crcs": False,
    "fetch.message.max.bytes": 1,
    "max.partition.fetch.bytes": 1,
    "fetch.max.bytes": 1000000,
    "fetch.min.bytes": 100000,
    "fetch.wait.max.ms": 60000,
    "queued.min.messages": 1,
    "queued.max.messages.kbytes": 1,
    "receive.message.max.bytes": 1000,
    "acks": 0,
    "request.required.acks": 0,
    "enable.idempotence": False,
    "transactional.id": "x",
    "topic.blacklist": ".*",
    "allow.auto.create.topics": True,
    "api.version.request": False,
    "broker.version.fallback": "0.9.0",
    "plugin.library.paths": "x.so",
    "ssl.engine.location": "x.so",
    "test.mock.num.brokers": 3,
    "internal.termination.signal": 15,
    "log.queue": True,
    "enabled_events": 1,
    "error_cb": "x",
    "stats_cb": "x",
    "oauth_cb": "x",
    "logger": "x",
    "on_commit": "x",
    "ssl.certificate.verify_cb": "x",
    "default.topic.config": "x",
    "default_topic_conf": "x",
    "consume_cb": "x",
    "opaque": "x",
    "interceptors": "x",
    "queuing.strategy": "lifo",
    "enable.gapless.guarantee": True,
    "delivery.report.only.error": True,
}


@pytest.mark.parametrize("name", OWN)
def test_a_property_that_exactness_stands_on_cannot_be_set(name: str) -> None:
    assert f"{name} is Millrace's own" in refused({name: OWN[name]})


def test_it_cannot_be_set_beside_good_ones_either() -> None:
    assert "auto.offset.reset is Millrace's own" in refused({**TLS_AND_SASL, "auto.offset.reset": "latest"})


@pytest.mark.parametrize(
    ("name", "setting"),
    [("bootstrap.servers", "BOOTSTRAP_SERVERS"), ("group.id", "GROUP_ID")],
    ids=["servers", "group"],
)
def test_what_another_setting_says_names_that_setting(name: str, setting: str) -> None:
    assert f"MILLRACE_KAFKA_{setting} says" in refused({name: "x"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sasl.pasword": "hunter2"}, 'No such configuration property: "sasl.pasword"'),
        ({"Auto.Offset.Reset": "latest"}, "No such configuration property"),
        ({"auto.offset.reset\0": "latest"}, "no name of a property"),
        ({"": "x"}, "no name of a property"),
        ({"client.id": "a\0b"}, "client.id holds characters"),
        ('{"client.id": "\\ud800"}', "client.id holds characters"),
        ({"security.protocol": "TLS"}, "security.protocol"),
        ({"socket.timeout.ms": "soon"}, "socket.timeout.ms"),
        ({"socket.timeout.ms": "30s"}, "socket.timeout.ms expects a whole number"),
        ({"socket.timeout.ms": 1e4}, "socket.timeout.ms expects a whole number"),
        ({"socket.timeout.ms": "010000"}, "socket.timeout.ms expects a whole number"),
        ({"socket.timeout.ms": 4294977296}, "socket.timeout.ms expects a whole number"),
        ({"linger.ms": "5 s"}, "linger.ms expects a number"),
        ({"socket.timeout.ms": 1}, "outside allowed range"),
        ({"socket.keepalive.enable": "maybe"}, "true or false"),
        ({"sasl.mechanism": None}, "sasl.mechanism is no text"),
        ({"sasl.mechanism": ["PLAIN"]}, "sasl.mechanism is no text"),
        ('{"client.id": "a", "client.id": "b"}', "client.id is there twice"),
        ("[" * 100_000, "JSON object"),
        ({**TLS_AND_SASL, "sasl.mechanism": "SCRAM"}, "Unsupported SASL mechanism"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}, "sasl.username and sasl.password must be set"),
        ({"security.protocol": "SSL", "ssl.cipher.suites": "none"}, "ssl.cipher.suites failed"),
        ({"security.protocol": "SSL", "ssl.ca.pem": "hunter2"}, "ssl.ca.pem"),
        ({"max.in.flight": 100}, "max.in.flight"),
        ({"linger.ms": 900_000, "delivery.timeout.ms": 1_000}, "message.timeout.ms"),
    ],
)
def test_an_unknown_name_or_a_bad_value_is_one_line_before_anything_starts(
    given: str | dict[str, Any], said: str
) -> None:
    assert said in refused(given)


OIDC = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanisms": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.client.id": "a",
    "sasl.oauthbearer.client.secret": "hunter2",
    "sasl.oauthbearer.token.endpoint.url": "https://127.0.0.1:1/token",
}
GIVEN: list[dict[str, Any]] = [
    {},
    TLS_AND_SASL,
    {"security.protocol": "ssl", "ssl.certificate.location": "/nowhere.crt", "ssl.key.location": "/nowhere.key"},
    {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER", "millrace.token.file": "/nowhere/token"},
    OIDC,
    {"client.rack": "a", "socket.timeout.ms": 20_000, "socket.keepalive.enable": False, "metadata.max.age.ms": "60000"},
    {"linger.ms": 0.5, "compression.type": "zstd", "message.max.bytes": 900_000_000, "partitioner": "consistent"},
    {"session.timeout.ms": 30_000, "max.poll.interval.ms": 60_000},
]


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_what_may_be_set_reaches_every_kind_of_client(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    found, made = options(given), dict[str, dict[str, Any]]()

    def remember(kind: str) -> Callable[[dict[str, Any]], None]:
        return lambda config: made.update({kind: config})

    monkeypatch.setattr("resources.kafka_token.properties", dict)  # whose file is not there
    monkeypatch.setattr("resources.kafka.Consumer", remember("consumer"))
    monkeypatch.setattr("resources.kafka.AdminClient", remember("admin"))
    monkeypatch.setattr("producer.client.Producer", remember("producer"))
    kafka = Kafka("localhost:1", options=found)
    with pytest.raises(AttributeError):  # the admin client is none
        kafka.topic_ids(["t"])
    _ = kafka.consumer(), connect(ProducerConfig("localhost:1", kafka_options=found), print)
    assert set(made) == {"consumer", "admin", "producer"}
    for kind, config in made.items():
        failpoint = {n: v for n, v in found.items() if kind == "producer" or n != "message.max.bytes"}
        assert failpoint.items() <= config.items()


def test_an_option_for_producers_alone_leaves_other_clients_as_they_are() -> None:
    found = options({"linger.ms": 7, "compression.type": "gzip", "message.max.bytes": 900_000_000})
    kafka = Kafka("localhost:1", options=found)
    kafka.consumer().close()
    with pytest.raises(KafkaUnavailable, match=r"no connection|imed out"):
        kafka.topic_ids(["t"])
    assert isinstance(connect(ProducerConfig("localhost:1", kafka_options=found), print), Producer)


def test_whatever_the_options_say_a_consumer_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}
    monkeypatch.setattr("resources.kafka.Consumer", made.update)
    Kafka("localhost:1", "ours", {**dict.fromkeys(kafka_options.CONSUMER, "x"), "group.id": "x"}).consumer()
    assert {**kafka_options.CONSUMER, "group.id": "ours", "bootstrap.servers": "localhost:1"}.items() <= made.items()


def test_a_look_at_options_asks_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}/token"
        assert options({**OIDC, "sasl.oauthbearer.token.endpoint.url": endpoint})
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_documents_list_every_property_of_both_kinds() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    free = [name for names in kafka_options.FREE.values() for name in names]
    assert all(f"`{name}`" in text for name in (*free, *kafka_options.OWN))
    assert all(any(fnmatchcase(name, p) for p in kafka_options.OWN) for name in kafka_options.CONSUMER)
    assert all(any(fnmatchcase(name, p) for p in kafka_options.OWN) for name in kafka_options.PRODUCER)
