"""A Redis that answers and takes no writes: noticed before a run is requested, with the reason, and left behind when
another server takes over."""

import contextlib
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from dagster import DagsterInstance

from infra.local import redis as local
from infra.local.harness import running
from monitoring.metrics.collect.health import _takes_writes  # pyright: ignore[reportPrivateUsage] - what the metric tells
from orchestration.dagster_runtime import broker, health
from orchestration.dagster_runtime.broker_messages import EXECUTE
from orchestration.dagster_runtime.launcher import WarmRunLauncher
from resources.redis import Redis, RedisUnavailable, code_of
from sensors.kafka_offsets import why_no_run_can_be_sent

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running(tmp_path_factory.mktemp("refusals"), ("broker",)) as services:
        yield int(services.environment["MILLRACE_BROKER_URL"].split(":")[-1].split("/")[0])


@pytest.fixture
def server(port: int) -> Iterator["redis.Redis"]:
    """A server that is as before after each test."""
    client = redis.Redis(port=port)
    yield client
    client.replicaof("NO", "ONE")
    for name, value in {"maxmemory": "0", "min-replicas-to-write": "0"}.items():
        client.config_set(name, value)
    client.acl_deluser("reader")
    client.flushall()


REFUSALS: Mapping[str, tuple[str, ...]] = {
    "OOM": ("CONFIG", "SET", "maxmemory", "1"),
    "READONLY": ("REPLICAOF", "127.0.0.1", "1"),
    "NOREPLICAS": ("CONFIG", "SET", "min-replicas-to-write", "1"),
    "NOPERM": ("ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@all", "-@write"),
    "NOPERM queue": ("ACL", "SETUSER", "reader", "on", ">secret", "~_kombu*", "~mr:*", "&*", "+@all"),
}


def url(port: int, case: str) -> str:
    return f"redis://reader:secret@127.0.0.1:{port}/0" if case.startswith("NOPERM") else f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("case", REFUSALS)
def test_a_broker_that_takes_no_writes_is_noticed_before_a_run_is_requested(
    case: str, port: int, server: "redis.Redis"
) -> None:
    server.execute_command(*REFUSALS[case])
    launcher = WarmRunLauncher(url(port, case))
    why = launcher.refused("ingest") or ""
    assert server.ping()
    assert f"({case.split()[0]})" in why
    assert "secret" not in why
    assert not launcher.broker_answers()
    assert not _takes_writes(Redis(url(port, case)), ["ingest", "default"])
    with pytest.raises(health.UnhealthyError, match=rf"\({case.split()[0]}\)"):
        health.ask_worker(url(port, case), "ingest")


def test_the_probe_leaves_nothing_behind_and_is_content_with_a_server_that_writes(
    port: int, server: "redis.Redis"
) -> None:
    server.lpush("ingest", b"a run")
    launcher = WarmRunLauncher(url(port, ""))
    assert launcher.refused("ingest") is None
    assert launcher.refused() is None
    assert _takes_writes(Redis(url(port, "")), ["ingest"])
    assert server.lrange("ingest", 0, -1) == [b"a run"]
    assert server.exists("default") == 0


def test_a_sensor_that_asks_is_told_the_reason(port: int, server: "redis.Redis") -> None:
    server.config_set("maxmemory", "1")
    with DagsterInstance.ephemeral() as instance:
        assert why_no_run_can_be_sent(instance, "ingest") is None
        instance._run_launcher = WarmRunLauncher(url(port, ""))  # pyright: ignore[reportPrivateUsage]
        assert "raise maxmemory" in (why_no_run_can_be_sent(instance, "ingest") or "")


@pytest.mark.parametrize("case", REFUSALS)
def test_the_redis_of_the_claims_is_done_without_when_it_takes_no_writes(
    case: str, port: int, server: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    """Ingest goes on with PostgreSQL alone, whatever the refusal; the log names it once, without the server's words."""
    server.execute_command(*REFUSALS[case])
    claims = Redis(url(port, case))
    script = "return redis.call('set', KEYS[1], 'x', 'px', 60000)"
    for _ in range(2):
        with pytest.raises(RedisUnavailable):
            claims.call(lambda client: client.eval(script, 1, "other:1" if "queue" in case else "mr:1"))
    told = [record.getMessage() for record in caplog.records if record.name == "millrace.resources.redis"]
    assert len(told) == 1
    assert f"({case.split()[0]})" in told[0]
    if "queue" not in case:
        assert not _takes_writes(Redis(url(port, case)))


@pytest.mark.parametrize("case", ["OOM", "READONLY", "NOREPLICAS"])
def test_the_doctor_of_the_embedded_stack_is_told_what_the_server_says(
    case: str, port: int, server: "redis.Redis"
) -> None:
    assert local.refusal(port) == ""
    server.execute_command(*REFUSALS[case])
    assert local.answers(port)
    assert case in local.refusal(port)


@pytest.mark.parametrize(
    ("text", "code"),
    [("MISCONF Redis is configured to save RDB snapshots", "MISCONF"), ("WRONGTYPE Operation against a key", None)],
)
def test_a_refusal_without_a_class_of_its_own_is_known_by_its_word(text: str, code: str | None) -> None:
    assert code_of(redis.ResponseError(text)) == code


class Forwarder:
    """What a name in DNS is to a client: new connections lead to the new server, old ones stay where they are."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def forwarding(target: int) -> Generator[Forwarder]:
    made = Forwarder(target)
    try:
        yield made
    finally:
        made.listener.close()


def test_after_a_failover_runs_go_to_the_new_primary_over_a_new_connection(
    port: int, server: "redis.Redis", tmp_path: Path
) -> None:
    with running(tmp_path, ("broker",)) as services, forwarding(port) as name:
        other = redis.Redis.from_url(services.environment["MILLRACE_BROKER_URL"])
        app = broker.client(f"redis://127.0.0.1:{name.port}/0")
        app.send_task(EXECUTE, args=["1"], task_id="1", queue="ingest")
        name.target = other.connection_pool.connection_kwargs["port"]
        server.replicaof("127.0.0.1", "1")  # pyright: ignore[reportArgumentType]
        app.send_task(EXECUTE, args=["2"], task_id="2", queue="ingest")
        held: Any = other.lrange("ingest", 0, -1)
        assert len(held) == 1
