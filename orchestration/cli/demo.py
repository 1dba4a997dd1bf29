"""`millrace demo` (`make demo`): the embedded stack, simulated traffic, a live view, and the reconciliation at the end.

What belongs here: what the demo starts, shows and ends with. What does not: the stack (`stack`), the traffic
(`producer`), the comparison (`assets.quality`).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.live import Live

from infra.local import state
from infra.local.services import LocalError
from orchestration import settings as settings_module
from orchestration.cli import dashboard_program, demo_view
from orchestration.cli import reconcile as reconcile_command
from orchestration.cli.stack_options import make_console, refusals, with_data_dir, with_ports
from orchestration.cli.stack_running import running
from orchestration.factories import make_kafka
from orchestration.settings import Settings
from resources.kafka import KafkaUnavailable
from resources.postgres import Postgres

_LINE_EVERY_SECONDS = 5.0
_DRAIN_SECONDS = 120.0
# A little of everything that real traffic brings.
_TRAFFIC = {"duplicates": 0.02, "late": 0.02, "out-of-order": 0.02, "invalid": 0.01, "tombstones": 0.002}


@click.command()
@with_data_dir
@with_ports
@click.option(
    "--seconds",
    type=click.FloatRange(min=5),
    envvar="DEMO_SECONDS",
    show_envvar=True,
    metavar="SECONDS",
    help="End by itself after so long: drain, reconcile, exit 0 only if it balances.",
)
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    envvar="DEMO_RATE",
    show_envvar=True,
    help="Events a second.",
)
def demo(data_dir: Path, ports: dict[str, int], free_ports: bool, seconds: float | None, rate: int) -> None:
    """Everything at once: start the embedded stack, send it traffic, watch it arrive. Ctrl-C ends it.

    With DEMO_SECONDS=60 it ends by itself, prints the reconciliation (produced = stored + duplicates + dead letters +
    tombstones + erased + expired) and exits 0 only if it balances. A stack that is up already is used, and left up.
    """
    console = make_console()
    with refusals(), running(console, data_dir, ports, any_free=free_ports):
        settings = settings_module.load({**os.environ, **state.environment(data_dir)})
        pages = _pages(state.load(data_dir))
        environment = {**os.environ, **state.environment(data_dir)}
        balanced = _show(console, settings, environment, pages, seconds, rate)
    sys.exit(0 if balanced else 1)


def _pages(known: state.StackState) -> dict[str, str]:
    """What to look at in a browser, and where that is."""
    found = {
        "dashboards": dashboard_program.NAME,
        "runs, lineage, ticks": "webserver",
        "metrics": "prometheus",
        "alerts": "alertmanager",
    }
    running = {program.name: program.port for program in known.programs}
    return {what: f"http://127.0.0.1:{running[name]}" for what, name in found.items() if name in running}


def _show(
    console: Console,
    settings: Settings,
    environment: dict[str, str],
    pages: Mapping[str, str],
    seconds: float | None,
    rate: int,
) -> bool:
    with console.status("ingesting what an earlier demo may have left in Kafka"):
        reconcile_command.wait_until_ingested(settings, _DRAIN_SECONDS)
    with Postgres(settings.postgres_url).connect("millrace-demo") as connection:
        before = demo_view.totals(connection)
    with _traffic(environment, rate) as producer:
        console.print()
        console.print(demo_view.sql_to_try())
        console.print()
        try:
            _watch(console, settings, pages, before, seconds, producer)
        except KeyboardInterrupt:
            if seconds is not None:
                raise
            console.print()
            return True
        produced = _stop(producer)
    return _settle(console, settings, before, produced)


@contextmanager
def _traffic(environment: dict[str, str], rate: int) -> "Generator[subprocess.Popen[bytes]]":
    """The producer, in a process of its own; ended with the block."""
    shares = [word for name, share in _TRAFFIC.items() for word in (f"--{name}", str(share))]
    command = [sys.executable, "-m", "orchestration.cli", "produce", "--rate", str(rate), *shares]
    # A group of its own: Ctrl-C is for the demo, which then stops the traffic and counts what was sent.
    with subprocess.Popen(
        [*command, "--json", "--quiet"], env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as producer:
        try:
            yield producer
        finally:
            if producer.poll() is None:
                producer.terminate()


def _watch(
    console: Console,
    settings: Settings,
    pages: Mapping[str, str],
    before: demo_view.LedgerTotals,
    seconds: float | None,
    producer: "subprocess.Popen[bytes]",
) -> None:
    kafka, began, said = make_kafka(settings), time.monotonic(), 0.0
    postgres = Postgres(settings.postgres_url)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while (passed := time.monotonic() - began) < (seconds or float("inf")):
            if producer.poll() is not None:
                raise LocalError(f"the producer has ended with exit code {producer.returncode}")
            left = f"{seconds - passed:.0f} s left" if seconds else f"{passed:.0f} s, Ctrl-C ends it"
            # A service that was stopped for the fun of it comes back; the demo waits and goes on.
            try:
                with postgres.connect("millrace-demo", statement_timeout_seconds=5) as connection:
                    found = demo_view.take_snapshot(connection, kafka, settings.kafka_topics, before)
            except (psycopg.Error, KafkaUnavailable):
                time.sleep(1)
                continue
            if console.is_terminal:
                live.update(demo_view.panel(found, left, pages), refresh=True)
            elif passed - said >= _LINE_EVERY_SECONDS:
                said = passed
                console.print(demo_view.line(found, left), soft_wrap=True)
            time.sleep(1)


def _stop(producer: "subprocess.Popen[bytes]") -> dict[str, Any]:
    producer.send_signal(signal.SIGINT)
    out, _ = producer.communicate(timeout=60)
    return json.loads(out)


def _wait_for_aggregates(console: Console, settings: Settings) -> None:
    """Until they hold everything; they are no part of the balance, so a slow machine only makes this say so."""
    until = time.monotonic() + _DRAIN_SECONDS
    with (
        console.status("waiting until the aggregates hold everything"),
        Postgres(settings.postgres_url).connect("millrace-demo") as connection,
    ):
        while not demo_view.settled(connection) and time.monotonic() < until:
            time.sleep(0.5)
        said = "hold every event" if demo_view.settled(connection) else "still lack events: see analytics.freshness"
    console.print(f"aggregates: they {said}", highlight=False)


def _settle(console: Console, settings: Settings, before: demo_view.LedgerTotals, produced: dict[str, Any]) -> bool:
    """Drain, reconcile, and compare with what the producer says that it sent."""
    with console.status("waiting until everything is ingested"):
        drained = reconcile_command.wait_until_ingested(settings, _DRAIN_SECONDS)
    verdicts = reconcile_command.run(settings, quiet=not console.is_terminal)
    reconcile_command.show(verdicts, console)
    with Postgres(settings.postgres_url).connect("millrace-demo") as connection:
        got = demo_view.totals(connection).since(before)
    sent = int(produced["acknowledged"])
    _wait_for_aggregates(console, settings)
    balanced = (
        drained and all(v.balanced for v in verdicts) and sent == got.records == sum(got[1:]) and not produced["failed"]
    )
    console.print(
        f"produced {sent:,} = stored {got.stored:,} + duplicates {got.duplicates:,} + dead letters "
        f"{got.dead_letters:,} + tombstones {got.tombstones:,} + erased {got.erased:,} + expired {got.expired:,}: "
        + ("[bold green]it balances[/]" if balanced else "[bold red]IT DOES NOT BALANCE[/]"),
        highlight=False,
        soft_wrap=True,
    )
    return balanced
