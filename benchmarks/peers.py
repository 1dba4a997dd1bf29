"""`make bench-peers`: Millrace, Bytewax and Kafka Connect on one backlog and one PostgreSQL, one after another.

What belongs here: running each alone and its two rates: from its start, and from its first row on. What does not: how
each is set up (`peers_bytewax`, `peers_connect`). Tables have the columns and keys of raw.events, without partitions,
which is in the peers' favour. Nobody but Millrace validates, keeps dead letters, a ledger or exactly-once.
"""

import contextlib
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks import peers_connect, processor, throughput
from benchmarks.rig import Rig, rig
from infra.local.remote import Remote
from infra.local.services import tail

_ROOT = Path(__file__).parent.parent
_PYTHON = _ROOT / ".venv-peers" / "bin" / "python"
_SERVICES = ("postgres", "kafka", "redis", "broker")
_LIKE_RAW = """
create table peers.{name} (like raw.events including all);
alter table peers.{name} alter column ingested_at set default clock_timestamp()
"""
_HELD = """
select extract(epoch from min(ingested_at))::float, extract(epoch from max(ingested_at))::float, count(*)
from peers.{name}
"""
_INSERTED = "select n_tup_ins from pg_stat_user_tables where relid = %s::regclass"
_PATIENCE_SECONDS = 600
_WHAT = {"rate": "its start counted", "running": "its start not counted"}


@dataclass(frozen=True)
class Result:
    """One row of the table that is printed."""

    name: str
    rate: float
    running: float
    """Events a second from the first row on; of Millrace from the first commit on."""
    used: str


@click.command()
@click.option("--events", default=400_000, show_default=True, help="Messages of the backlog.")
@click.option("--duplicates", default=0.02, show_default=True, help="Part of them that was sent before.")
@click.option("--tasks", default=2, show_default=True, help="Tasks of Kafka Connect.")
def compare(events: int, duplicates: float, tasks: int) -> None:
    """Measure Millrace and the others on the same backlog."""
    with rig(MILLRACE_LANES="1") as stack:
        with stack.without("worker-aggregates"):
            done = throughput.ingest(stack, events, duplicates)
            results = [Result("Millrace, one lane", done.rate, done.running(events), done.used)]
            _print(results[-1])
            expected: int = stack.one("select count(*) from raw.events")
        with _services_only(stack), stack.connect() as connection:
            connection.execute("create schema peers")
            for write in ("executemany", "copy"):
                connection.execute(_LIKE_RAW.format(name=f"bytewax_{write}").encode())
            connection.execute(peers_connect.TABLE.encode())
            for name, command, extra in _peers(stack, tasks):
                results.append(_run(stack, name, command, extra, (events, expected)))
                _print(results[-1])
    for what in ("rate", "running"):
        best = max(results[1:], key=lambda result: getattr(result, what))
        ratio = getattr(results[0], what) / getattr(best, what)
        print(f"  Millrace to {best.name}, {_WHAT[what]}: ratio {ratio:.2f} (target at least 2.50)")


def _peers(stack: Rig, tasks: int) -> Generator[tuple[str, Sequence[str], dict[str, str]]]:
    topic = stack.settings.kafka_topics[0]
    for write in ("executemany", "copy"):
        extra = {"BENCH_WRITE": write, "BENCH_TOPIC": topic}
        flow = str(_ROOT / "benchmarks" / "peers_bytewax.py")
        yield f"bytewax_{write}", (str(_PYTHON), "-m", "bytewax.run", flow), extra
    yield "connect", peers_connect.command(stack, tasks), {}


@contextlib.contextmanager
def _services_only(stack: Rig) -> Generator[None]:
    """Without Millrace's programs, so that a peer has the machine to itself."""
    with contextlib.ExitStack() as stopped:
        for name in Remote(stack.directory).programs():
            if name not in _SERVICES:
                stopped.enter_context(stack.without(name))
        yield


def _run(stack: Rig, name: str, command: Sequence[str], extra: dict[str, str], sizes: tuple[int, int]) -> Result:
    """Run a peer until all distinct events are in its table, then end it."""
    events, expected = sizes
    before, own, began = processor.by_program(stack), _ended_children(), time.time()
    log = stack.directory / f"{name}.log"
    with log.open("w") as output:
        peer = subprocess.Popen(command, env={**stack.environment, **extra}, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(stack, name, expected, peer)
        finally:
            peer.terminate()
            peer.wait()
    first, last, rows = _held(stack, name)
    if rows != expected:
        raise RuntimeError(f"{name} stored {rows:,} of {expected:,} events:\n{tail(log)}")
    seconds = processor.used(stack, before) + Counter({name: _ended_children() - own})
    return Result(name, events / (last - began), events / (last - first), processor.split(seconds, events))


def _wait(stack: Rig, name: str, expected: int, peer: "subprocess.Popen[bytes]") -> None:
    """Until it has ended by itself, or has inserted everything: by PostgreSQL's own counts, which cost nothing."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while peer.poll() is None and (stack.one(_INSERTED, f"peers.{name}") or 0) < expected:
        if time.monotonic() > deadline:
            return
        time.sleep(0.5)


def _held(stack: Rig, name: str) -> tuple[float, float, int]:
    with stack.connect() as connection:
        [(first, last, rows)] = connection.execute(_HELD.format(name=name).encode()).fetchall()
        return first or 0.0, last or 0.0, rows


def _ended_children() -> float:
    """Processor seconds of this process' children that were waited for, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print(result: Result) -> None:
    rates = f"{result.rate:8,.0f} events/s with its start   {result.running:8,.0f} from its first row on"
    print(f"  {result.name:20} {rates}")
    print(f"  {'':20} µs of processor time an event: {result.used}", flush=True)


if __name__ == "__main__":
    compare()
