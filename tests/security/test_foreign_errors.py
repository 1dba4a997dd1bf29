"""What a server says in an error, by whoever answers in its place: on one line, never long, and without values.

What belongs here: errors of Kafka, PostgreSQL, Redis and Prometheus up to the text that is stored, logged or shown.
What does not: what records hold (`test_claims`), and messages of the broker (`test_broker`).
"""

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

import httpx
import psycopg
import pytest
import redis
from confluent_kafka import KafkaError, KafkaException
from psycopg import errors

from assets.ingest.withheld import Withheld
from monitoring.dashboard.sources import Prometheus, Unanswered
from producer import client as producer_client
from producer.reporter import Trouble
from resources import postgres
from resources import redis as redis_resource
from resources.kafka import Kafka, error_text

HOSTILE = "no\nERROR forged\r\x1b[2J\u202e\u2028 " + "x" * 1_000_000
REFUSED = KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED, HOSTILE)


def by_the_client() -> str:
    kafka = Kafka("h:1")
    kafka._keep(REFUSED)  # pyright: ignore[reportPrivateUsage]
    return str(kafka._unavailable(KafkaException(REFUSED)))  # pyright: ignore[reportPrivateUsage]


def by_the_producers_client() -> str:
    trouble = Trouble()
    trouble(REFUSED)
    return trouble.text


def by_prometheus() -> str:
    asked = Prometheus("http://h")
    answer = httpx.Response(400, json={"status": "error", "error": HOSTILE})
    asked.client = httpx.AsyncClient(base_url="http://h", transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(Unanswered) as raised:
        asyncio.run(asked.alerts())
    return str(raised.value)


def by_postgres(code: str) -> Callable[[], str]:
    """A server that answers the first message with an error."""

    def told() -> str:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=refuse, args=(listening, code), daemon=True).start()
            url = f"postgresql://u@127.0.0.1:{listening.getsockname()[1]}/d?sslmode=disable&gssencmode=disable"
            with pytest.raises(psycopg.Error) as raised:
                postgres.Postgres(url).connect("t")
        return postgres.describe(raised.value)

    return told


def refuse(listening: socket.socket, code: str) -> None:
    with suppress(OSError), listening.accept()[0] as connection:
        connection.recv(4096)
        fields = b"".join(k + v.encode() + b"\0" for k, v in ((b"S", "FATAL"), (b"C", code), (b"M", HOSTILE[:25_000])))
        connection.sendall(b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0")
        connection.recv(1)


def by_redis() -> str:
    reply = redis.ResponseError(HOSTILE)
    return redis_resource._why(reply) + redis_resource.reason_of(reply)  # pyright: ignore[reportPrivateUsage]


TOLD: dict[str, Callable[[], str]] = {
    "kafka": lambda: error_text(REFUSED),
    "kafka's client": by_the_client,
    "the producer's": by_the_producers_client,
    "the producer's topic": lambda: producer_client._text(KafkaException(REFUSED)),  # pyright: ignore[reportPrivateUsage]
    "a metric's label": lambda: Withheld("t", "0", 1, HOSTILE).labels[3],
    "prometheus": by_prometheus,
    "postgres: 28000": by_postgres("28000"),
    "postgres: 57P03": by_postgres("57P03"),
    "redis": by_redis,
}


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_no_error_of_a_server_is_long_or_breaks_a_line(told: Callable[[], str]) -> None:
    text = told()
    assert text
    assert text.isprintable()
    assert len(text) <= 1_100  # two of at most 500 characters, and our own words


class _Quoting(errors.UniqueViolation):
    """As PostgreSQL's, with a row in its words."""

    sqlstate = "23505"

    def __str__(self) -> str:
        return 'duplicate key value violates "pk"\nDETAIL:  Key (user_id)=(ann) already exists.'


def test_an_error_of_postgres_quotes_no_row() -> None:
    assert not re.search("ann|duplicate", postgres.describe(_Quoting()))
