"""A Pushgateway of a test's own, and servers that are none.

What belongs here: starting, freezing, ending and reading them. What does not: assertions.
"""

import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from assets.ingest import unreadable
from assets.ingest.model import Unreadable
from assets.ingest.plan import TopicIdPartition
from infra.local import ports
from infra.local.binaries import monitoring
from monitoring.metrics.resource import Metrics
from orchestration.factories import make_metrics
from resources.pushgateway import Pushgateway
from tests.support.world import World, encoded, event

Labels = frozenset[tuple[str, str]]


@dataclass
class Gateway:
    """A real Pushgateway on a port of its own. It keeps nothing when it is ended."""

    port: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def patient(self, prefix: str = "") -> Pushgateway:
        """A client that a busy machine does not make fail; still less than a session may be idle in a transaction."""
        return Pushgateway(self.url + prefix, timeout_seconds=4.5)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [monitoring("pushgateway"), f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3_000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError("the Pushgateway did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def frozen(self) -> Generator[None]:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def text(self) -> str:
        with urllib.request.urlopen(self.url + "/metrics", timeout=5) as answer:  # noqa: S310 - of our own making
            return answer.read().decode()

    def samples(self) -> dict[str, dict[Labels, float]]:
        """The values of Millrace's metrics, and when each group was pushed, by name and labels."""
        found: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                labels = frozenset((k, v) for k, v in sample.labels.items() if k not in ("job", "instance"))
                if sample.name.startswith("millrace_") or sample.name == "push_time_seconds":
                    found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def get(self, name: str, **labels: str) -> float | None:
        """The value of the only series with these labels, beside others that it may have."""
        chosen = [v for k, v in self.samples().get(name, {}).items() if labels.items() <= dict(k).items()]
        assert len(chosen) <= 1, f"{name} {labels}: {chosen}"
        return chosen[0] if chosen else None

    def counters(self) -> Mapping[tuple[str, Labels], float]:
        """Everything that must never become less."""
        return {
            (name, labels): value
            for name, values in self.samples().items()
            if name.endswith(("_total", "_bucket", "_count", "_sum"))
            for labels, value in values.items()
        }


def free_port() -> int:
    [port] = ports.free(1)
    return port


@dataclass
class Hostile:
    """A server that does with a connection whatever it is told to, and keeps the requests that it got."""

    port: int
    requests: list[bytes] = field(default_factory=list[bytes])


@contextmanager
def hostile(behave: Callable[[socket.socket], None]) -> Generator[Hostile]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Hostile(listening.getsockname()[1])

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

        def handle(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                server.requests.append(connection.recv(65536))
                behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server


def answers(status: str) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


def hangs(connection: socket.socket) -> None:
    while connection.recv(65536):  # a request may come in several pieces
        pass


def drips(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
        connection.sendall(bytes([byte]))
        time.sleep(0.3)


JOBS, QUEUES = ("ingest", "refresh_aggregates"), ("ingest", "aggregates", "default")


def metrics_of(world: World, gateway: Gateway, **changes: object) -> Metrics:
    """As a process would have them that nobody shares anything with, but more patient."""
    update = {"pushgateway_url": SecretStr(gateway.url), "kafka_topics": (world.topic,), **changes}
    made = make_metrics(world.settings.model_copy(update=update), JOBS, QUEUES)
    assert made.pusher is not None
    made.pusher.gateway = gateway.patient()
    return made


def withhold(world: World) -> None:
    """As if a run had met the next offset of partition 0 and could not read it."""
    [[topic_id]] = {(a.topic_id,) for a in world.worker.kafka.available([world.topic])}
    [[at]] = world.query("select coalesce(max(next_offset), 0) from ops.offsets where topic = %s", world.topic)
    found = Unreadable(world.topic, TopicIdPartition(topic_id, 0), at, "BAD_MSG: CRC")
    with world.worker.postgres.connect("test") as connection:
        unreadable.record(connection, [found], "run")


def leave_out(world: World, unread: int = 1) -> str:
    """A topic that was ingested, is not in the settings, and has unread records; its name."""
    topic, world.topic = world.topic, f"{world.topic}-left-out"
    world.worker.kafka.create_topic(world.topic, 1)
    world.produce(encoded(event()))
    world.ingest()
    world.produce(encoded(*(event() for _ in range(unread))))
    left, world.topic = world.topic, topic
    return left
