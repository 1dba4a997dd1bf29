"""MILLRACE_KAFKA_OPTIONS: which properties of librdkafka an operator may set, and what librdkafka says to them.

What belongs here: the lists, and a look at given options without a network and without their files. What does not:
clients (`kafka`, `producer.client`), which set Millrace's own properties after these options.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from contract.shown import said
from resources import kafka_token

# Exactness stands on these, and that a worker's memory does not depend on the backlog.
CONSUMER: Mapping[str, Any] = MappingProxyType(
    {
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "check.crcs": True,
        "allow.auto.create.topics": False,
        # What is fetched ahead of the chunk in hand is what bounds a worker's memory.
        "queued.max.messages.kbytes": 32 * 1024,
        "queued.min.messages": 40_000,
        # What a batch may unpack to, too: at librdkafka's 100 MB 4 kB of zstd would stop a partition for ever.
        "receive.message.max.bytes": 500_000_000,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 200,
    }
)
PRODUCER: Mapping[str, Any] = MappingProxyType({"acks": "all", "enable.idempotence": "true"})

# What may be set, by what it is about. All else that librdkafka knows is refused: a property of a later release too,
# until somebody has looked at what it does to exactness.
FREE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "TLS": ("security.protocol", "ssl.*", "https.ca.*", "enable.ssl.certificate.verification"),
        "SASL": ("sasl.*", "enable.sasl.oauthbearer.unsecure.jwt", kafka_token.FILE),
        "the client's name and place": ("client.id", "client.rack", "client.dns.lookup"),
        "connections": (
            *("socket.*", "broker.address.*", "connections.max.idle.ms", "enable.sparse.connections"),
            *("reconnect.backoff.*", "retry.backoff.*", "api.version.request.timeout.ms"),
            *("max.in.flight", "max.in.flight.requests.per.connection", "coordinator.query.interval.ms"),
        ),
        "metadata": ("topic.metadata.*", "metadata.max.age.ms", "metadata.request.timeout.ms", "metadata.recovery.*"),
        "diagnosis": ("debug", "log_level", "log.connection.close", "statistics.interval.ms", "enable.metrics.push"),
        "`millrace produce` alone": (
            *("linger.ms", "queue.buffering.*", "batch.*", "compression.*", "sticky.partitioning.linger.ms"),
            *("message.max.bytes", "message.copy.max.bytes", "partitioner", "retries", "message.send.max.retries"),
            *("delivery.timeout.ms", "message.timeout.ms", "request.timeout.ms"),
        ),
        "members of consumer groups, which Millrace is not: without effect": (
            *("session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms"),
        ),
    }
)
# Like the free ones by name, but call-backs, or libraries that would be loaded into the process.
_NOT_FREE = ("*_cb", "ssl.engine.*")
# Of those that are refused, the ones that people may want, for the documents.
OWN = (
    *("bootstrap.servers", "metadata.broker.list", "group.*", "partition.assignment.strategy"),
    *("auto.offset.reset", "enable.auto.commit", "auto.commit.*", "enable.auto.offset.store", "offset.store.*"),
    *("isolation.level", "enable.partition.eof", "check.crcs", "allow.auto.create.topics", "topic.blacklist"),
    *("fetch.*", "max.partition.fetch.bytes", "max.poll.records", "queued.*", "receive.message.max.bytes"),
    *("acks", "request.required.acks", "enable.idempotence", "enable.gapless.guarantee", "transactional.id"),
    *("api.version.request", "api.version.fallback.ms", "broker.version.fallback", "default.topic.config"),
    *("plugin.library.paths", "ssl.engine.*", "*_cb", "on_commit", "on_delivery", "logger", "log.queue"),
    *("enabled_events", "test.mock.*", "internal.*"),
)
_ELSEWHERE = {
    "bootstrap.servers": "MILLRACE_KAFKA_BOOTSTRAP_SERVERS says where Kafka is",
    "metadata.broker.list": "MILLRACE_KAFKA_BOOTSTRAP_SERVERS says where Kafka is",
    "group.id": "MILLRACE_KAFKA_GROUP_ID says it",
}
# Read by librdkafka when a client is made, and perhaps not there where settings are only looked at; or asked of a
# server.
_OUTSIDE = ("*.location", "*.file", "sasl.oauthbearer.*", kafka_token.FILE)
_DECIMAL = ("linger.ms", "queue.buffering.max.ms")
_SECRET = ("*password*", "*secret*", "*passphrase*", "*.pem", "*jaas*")


def for_reading(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What consumers and admin clients get: `message.max.bytes` would raise what they fetch at once."""
    return {name: value for name, value in properties.items() if name != "message.max.bytes"}


def check(options: Mapping[str, str]) -> None:
    """See that the options may be set and that librdkafka takes them. Touches no network and none of their files.

    Raises:
        ValueError: one line that names the property and never shows a secret.
    """
    for complaint in _complaints(options):
        raise ValueError(_hidden(complaint, options))


def _complaints(options: Mapping[str, str]) -> Iterator[str]:
    for name, value in options.items():
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
            yield f"{name[:100]!r} is no name of a property"
        elif "\0" in value or not _encodable(value):
            yield f"{name} holds characters that no property can have"
        elif not _free(name):
            yield _why_refused(name, value)
        elif name != kafka_token.FILE:
            yield from _alone(name, value)
    yield from _together(options)


def _free(name: str) -> bool:
    free = (pattern for patterns in FREE.values() for pattern in patterns)
    return any(fnmatchcase(name, p) for p in free) and not any(fnmatchcase(name, p) for p in _NOT_FREE)


def _why_refused(name: str, value: str) -> str:
    if not any(fnmatchcase(name, p) for p in OWN) and _unknown(said := _said(Consumer, {name: value})):
        return said
    why = _ELSEWHERE.get(name, "exactness and bounded memory stand on it")
    return f"{name} is Millrace's own and cannot be set: {why} (docs/settings.md lists what can)"


def _alone(name: str, value: str) -> Iterator[str]:
    """What librdkafka says to one property, whatever the others are."""
    said = _said(Consumer, {name: value})
    if said and not said.startswith("Failed to create"):
        yield said if name in said else f"{name}: {said}"
    elif name in _DECIMAL:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            yield f"{name} expects a number"
    elif re.match(r"\s*[-+]?\d", value) and not _whole(value) and _said(Consumer, {name: "x"}).startswith("Invalid"):
        # librdkafka reads "10s" as 10, "010" as 8, and what does not fit into 32 bits as something else.
        yield f"{name} expects a whole number"


def _together(options: Mapping[str, str]) -> Iterator[str]:
    """What librdkafka says to all of them, beside those that Millrace sets."""
    seen = {n: v for n, v in options.items() if not any(fnmatchcase(n, p) for p in _OUTSIDE)}
    makers = ((Consumer, {**for_reading(seen), **CONSUMER}), (Producer, {**seen, **PRODUCER}))
    yield from (refused for kind, made in makers if (refused := _said(kind, made)))


def _said(kind: type[Consumer | Producer], properties: Mapping[str, Any]) -> str:
    """Why librdkafka makes no such client; empty if it does. Without servers it connects to nothing."""
    own = {"group.id": "check"} if kind is Consumer else {}
    try:
        client = kind({"log_level": 0, **properties, **own, "logger": _silent()})
    except KafkaException as error:
        found: KafkaError = error.args[0]
        return said(found.str())
    except (TypeError, ValueError, AttributeError):
        return "Invalid value"
    if isinstance(client, Consumer):
        client.close()
    return ""


def _unknown(said: str) -> bool:
    return said.startswith("No such configuration property")


def _whole(value: str) -> bool:
    return re.fullmatch(r"-?(0|[1-9][0-9]{0,9})", value) is not None and -(1 << 31) <= int(value) < 1 << 31


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hidden(said: str, options: Mapping[str, str]) -> str:
    for name, value in options.items():
        if value and any(fnmatchcase(name, p) for p in _SECRET):
            said = said.replace(value, "***")
    return said.removeprefix("Failed to create consumer: ").removeprefix("Failed to create producer: ")


def _silent() -> logging.Logger:
    logger = logging.getLogger("millrace.kafka_options")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    return logger
