"""How the stack looks in a terminal: the lines while it starts and stops, its table, where everything is.

What belongs here: printing. What does not: the commands (`stack`) and knowing anything (`infra.local`).
"""

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from contract.shown import on_a_line
from infra.local.observe import ProgramRow
from infra.local.sequence import Report, StartStep
from infra.local.state import StackState
from orchestration.cli import dashboard_program
from orchestration.cli.stack_options import called, spelled

if TYPE_CHECKING:
    from infra.local.preflight import Finding

_MARKS = {"ready": "[green]✓[/]", "failed": "[red]✗[/]"}
_PAGES = {"dashboards": dashboard_program.NAME, "Dagster": "webserver"}
_LEVELS = {"OK": "green", "WARN": "yellow", "FAIL": "red"}


@dataclass
class _Line:
    step: StartStep
    began: float
    ended: float | None = None

    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.began


class _Board:
    """A line for each program; steps may come from several threads."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._lock = Lock()
        self._spinner = Spinner("dots")

    def take(self, step: StartStep) -> _Line:
        """Note a step; the line of its program as it is now."""
        with self._lock:
            line = self._lines.get(step.name)
            if line is None or (line.ended is not None and step.state == "busy"):
                line = self._lines[step.name] = _Line(step, time.monotonic())
            line.step, line.ended = step, None if step.state == "busy" else time.monotonic()
            return line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for name, line in self._lines.items():
                mark = _MARKS.get(line.step.state) or self._spinner
                table.add_row(mark, name, f"{line.seconds():.1f} s", Text(line.step.text, style="dim"))
        yield table


@contextmanager
def progress(console: Console) -> Generator[Report]:
    """A report that draws a line for each program; where nobody watches, it prints each when it is done."""
    board = _Board()
    if not console.is_terminal:
        yield lambda step: _print_step(console, board.take(step))
        return
    with Live(board, console=console, refresh_per_second=8):
        yield lambda step: _forget(board.take(step))


def _forget(_: _Line) -> None:
    return None


def _print_step(console: Console, line: _Line) -> None:
    if line.step.state != "busy":
        what = f"{line.step.state:8}" if not line.step.text else line.step.text
        console.print(f"{line.step.name:14} {what} ({line.seconds():.1f} s)", highlight=False)
    elif line.step.text.startswith("fetching"):
        console.print(f"{line.step.name:14} {line.step.text}", highlight=False)


def table(rows: Iterable[ProgramRow]) -> Table:
    """The table of `millrace status`."""
    found = Table("program", "state", "pid", "up for", "port", "restarts", "log", box=None, pad_edge=False)
    found.columns[-1].overflow = "fold"  # a path that is cut short opens nothing
    for row in rows:
        state = Text(row.state, style="green" if row.runs else "red")
        cells = (row.pid or "", _duration(row.uptime_seconds), row.port or "", row.restarts, row.log)
        found.add_row(row.name, state, *map(str, cells))
    return found


def one_line(rows: Iterable[ProgramRow]) -> str:
    """The stack in one line, for the foreground."""
    listed = list(rows)
    troubled = [f"{row.name} {row.state}" for row in listed if not row.runs]
    age = max((row.uptime_seconds or 0 for row in listed), default=0)
    up = f"{len(listed) - len(troubled)} of {len(listed)} programs run, up for {_duration(age)}"
    return f"{up}{' · ' if troubled else ''}{', '.join(troubled)} · Ctrl-C ends all of it"


def _duration(seconds: int | None) -> str:
    return str(timedelta(seconds=seconds)) if seconds is not None else ""


def places(console: Console, directory: Path, known: StackState, option: str) -> None:
    """Where everything is and what to do next.

    Args:
        console: prints.
        directory: the data directory.
        known: the stack's ports, and whether it has metrics.
        option: what later commands need to find this stack again: ` --data-dir ...`, or nothing.
    """
    millrace = called()
    lines = {
        **pages(known),
        **metrics(known),
        "PostgreSQL": f"{millrace} psql --analyst{option}",
        "Kafka": f"127.0.0.1:{known.ports['kafka']}",
        "logs": str(directory / "logs"),
        "send traffic": f'eval "$({millrace} env{option})"; {millrace} produce --rate 1000 --duration 60s',
        "look at it": f"{millrace} status{option}",
        "end it": f"{millrace} down{option}",
    }
    for name, text in lines.items():
        console.print(f"  [bold]{name:13}[/]", Text(text), highlight=False, soft_wrap=True)


def pages(known: StackState) -> dict[str, str]:
    """What to open in a browser first: the dashboards, or why there are none, and Dagster's web UI."""
    running = {program.name: program.port for program in known.programs}
    found = {name: f"http://127.0.0.1:{running[of]}" for name, of in _PAGES.items() if of in running}
    return (
        found
        if "dashboards" in found
        else {"dashboards": f"off: {dashboard_program.problem() or 'this stack was started without them'}", **found}
    )


def differs(console: Console, found: Sequence[str], option: str) -> None:
    """Say what a stack that is up was started with, other than this shell would start it with, and what to do."""
    text = f"It was started with something else than it would be now: {', '.join(found)}."
    console.print(Text(text, style="yellow"), soft_wrap=True)
    console.print(f"Take over what is now: {called()} up --restart --detach{option}", highlight=False, soft_wrap=True)
    if "the code" in found:
        console.print("Or the code alone: Reload definitions in Dagster's UI (Deployment).", highlight=False)
    console.print()


def metrics(known: StackState) -> dict[str, str]:
    """Where a stack's metrics and alerts are to be seen, or in one line why nowhere and what to do."""
    if known.metrics_off:
        return {"metrics": f"off: {known.metrics_off}"}
    shown = {"Prometheus": "metrics and rules", "Alertmanager": "alerts", "Pushgateway": "what was pushed last"}
    running = {program.name: program.port for program in known.programs}
    return {
        name: f"http://127.0.0.1:{running[name.lower()]} ({what})"
        for name, what in shown.items()
        if name.lower() in running
    }


def findings(console: Console, found: "Iterable[Finding]") -> bool:
    """Print what the doctor finds as it finds it; whether nothing failed."""
    well = True
    for finding in found:
        well = well and finding.level != "FAIL"
        mark = Text(f"{finding.level:5}", style=_LEVELS[finding.level])
        # What it quotes (names in the database, messages of servers) may be a stranger's.
        console.print(mark, Text(f"{finding.name:16} {on_a_line(finding.text)}"), highlight=False, soft_wrap=True)
        if finding.advice and finding.level != "OK":
            console.print(" " * 22, Text(f"→ {on_a_line(spelled(finding.advice))}"), highlight=False, soft_wrap=True)
    return well
