"""What a stack shows of its secrets and of what was sent: in arguments, environments, logs, Dagster, Redis, metrics."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
import psycopg
import pytest
import redis
from confluent_kafka import Producer
from psycopg import sql

from infra.local import processes
from tests.support.world import event
from tests.system.system import System, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
MARKER = "zz-secret-of-a-visitor-zz"
# Programs that connect to nothing of ours: they have no use for the settings.
_NEED_NO_SETTING = ("postgres", "redis-server", "java", "prometheus", "pushgateway", "alertmanager")


@pytest.fixture(scope="module")
def visited(whole: System) -> System:
    """A stack that has stored and refused records with a marker in them, by runs that ended."""
    producer = Producer({"bootstrap.servers": whole.environment["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"]})
    good = [event(payload={"userId": f"{MARKER}-{n}", "page": f"/{MARKER}", "referrer": None}) for n in range(5)]
    bad = [event(payload={"userId": f"{MARKER}-9", "page": 7, "referrer": MARKER}), {MARKER: MARKER}]
    for record in (*good, *bad):
        producer.produce("user-events", json.dumps(record).encode(), key=MARKER.encode(), headers=[("who", MARKER)])
    assert producer.flush(60) == 0
    eventually(lambda: whole.query("select count(*) from raw.events where user_id like %s", f"{MARKER}%") == [(5,)])
    eventually(lambda: whole.query("select count(*) from ops.dirty_buckets") == [(0,)])
    return whole


def secrets_of(whole: System) -> set[str]:
    """The passwords in the addresses of the stack's settings."""
    found = {urlsplit(value).password for value in whole.environment.values() if "://" in value}
    secrets = {unquote(each) for each in found if each}
    assert secrets, "the embedded PostgreSQL has a password"
    return secrets


def of_stack(whole: System) -> list[psutil.Process]:
    found = processes.find(whole.stack.directory)
    assert len(found) > 8
    return found


def test_every_program_listens_on_loopback_alone(visited: System) -> None:
    listening: set[tuple[str, str]] = set()
    for process in of_stack(visited):
        with suppress(psutil.NoSuchProcess):
            found = [each.laddr for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]
            listening |= {(process.name(), each.ip) for each in found}
    assert len({name for name, _ in listening}) >= 4
    assert {address for _, address in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_no_process_has_a_secret_among_its_arguments(visited: System) -> None:
    for process in of_stack(visited):
        with suppress(psutil.NoSuchProcess):
            line = " ".join(process.cmdline())
            assert not [each for each in secrets_of(visited) if each in line], process.name()


def test_programs_that_connect_to_nothing_have_no_secret_in_their_environment(visited: System) -> None:
    for process in of_stack(visited):
        with suppress(psutil.NoSuchProcess):
            if process.name() in _NEED_NO_SETTING:
                held = "\n".join(process.environ().values())
                assert not [each for each in secrets_of(visited) if each in held], process.name()


def test_no_log_holds_a_secret_or_anything_that_was_sent(visited: System) -> None:
    logs = sorted((visited.stack.directory / "logs").rglob("*.log*"))
    assert len(logs) > 8
    for path in logs:
        assert found_in(path.read_text(errors="replace"), visited) == [], path.name


def test_dagster_keeps_no_secret_and_nothing_that_was_sent(visited: System) -> None:
    with psycopg.connect(visited.environment["MILLRACE_POSTGRES_URL"]) as connection:
        tables = [
            name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'dagster'")
        ]
        assert {"runs", "event_logs", "job_ticks"} <= set(tables)
        for name in tables:
            rows = connection.execute(sql.SQL("select t::text from dagster.{} as t").format(sql.Identifier(name)))
            for (row,) in rows:
                assert found_in(row, visited) == [], name


def test_no_redis_holds_a_secret_or_anything_that_was_sent(visited: System) -> None:
    for setting in ("MILLRACE_REDIS_URL", "MILLRACE_BROKER_URL"):
        with redis.Redis.from_url(visited.environment[setting]) as client:
            for text in texts(client):
                assert found_in(text, visited) == [], setting


def test_no_metric_holds_a_secret_or_anything_that_was_sent(visited: System) -> None:
    address = visited.environment.get("MILLRACE_PUSHGATEWAY_URL")
    if address is None:
        pytest.skip("the stack has no Pushgateway: make monitoring")
    for path in ("/metrics", "/api/v1/metrics"):
        with urllib.request.urlopen(address.rstrip("/") + path, timeout=30) as answer:  # noqa: S310
            assert found_in(answer.read().decode(), visited) == [], path


def test_files_with_a_secret_are_readable_by_their_owner_alone(visited: System) -> None:
    holding = [
        path for path in small_files(visited.stack.directory) if found_in(path.read_text(errors="replace"), visited)
    ]
    assert holding, "the settings that reach the stack are kept in a file"
    for path in holding:
        assert path.stat().st_mode & 0o077 == 0, path.name


def texts(client: Any) -> Iterator[str]:
    """Every key, and every value that is a string, a list or a hash."""
    for key in client.scan_iter(count=1_000):
        kind, found = client.type(key), [key]
        if kind == b"string":
            found.append(client.get(key) or b"")
        elif kind == b"list":
            found += client.lrange(key, 0, -1)
        elif kind == b"hash":
            found += [each for pair in client.hgetall(key).items() for each in pair]
        yield from (each.decode(errors="replace") for each in found)


def small_files(directory: Path) -> Iterator[Path]:
    """Those beside the data of the services, whose folders are closed as a whole."""
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20:
            yield path


def found_in(text: str, whole: System) -> list[str]:
    """Which of them, not what: a failure of this test is a log, too."""
    kinds = {"a password": any(each in text for each in secrets_of(whole)), "the marker": MARKER in text}
    return [kind for kind, found in kinds.items() if found]
