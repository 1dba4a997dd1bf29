"""What a person at a terminal sees: a progress bar on the way, a table at the end.

What belongs here: layout. What does not: counting (`tally`).
"""

import time
from types import TracebackType
from typing import Any, Self

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from producer.config import ProducerConfig
from producer.tally import SendProgress, Summary

_COLUMNS = (
    "[bold]{task.fields[sent]}[/] sent",
    "[green]{task.fields[acknowledged]} acknowledged",
    "{task.fields[rate]}/s",
    "[red]{task.fields[failed]}",
)


class Display:
    """Shows progress on the console: a bar if it is a terminal, else a line when there is trouble."""

    def __init__(self, console: Console, config: ProducerConfig) -> None:
        self._console = console
        self._config = config
        self._bar = Bar(
            SpinnerColumn(),
            *([BarColumn(bar_width=24)] if config.count or config.duration else []),
            *(TextColumn(text) for text in _COLUMNS),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._trouble = ""

    def __enter__(self) -> Self:
        self._bar.start()
        fields: dict[str, Any] = {"sent": 0, "acknowledged": 0, "rate": 0, "failed": ""}
        self._task = self._bar.add_task("", total=self._config.count or self._config.duration, **fields)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, progress: SendProgress) -> None:
        """Bring the bar up to date, and say once what the trouble is."""
        if self._task is not None:
            self._bar.update(
                self._task,
                completed=progress.acknowledged if self._config.count else progress.seconds,
                sent=f"{progress.sent:,}",
                acknowledged=f"{progress.acknowledged:,}",
                rate=f"{progress.rate:,.0f}",
                failed=f"{progress.failed:,} failed" if progress.failed else "",
            )
        self._tell(progress)

    def _tell(self, progress: SendProgress) -> None:
        before, self._trouble = self._trouble, progress.trouble
        if progress.trouble and not before:
            waiting = f"{progress.waiting:,} messages wait, each at most {self._config.delivery_timeout:g} s"
            said = f"{time.strftime('%H:%M:%S')} {progress.trouble}: {waiting} (Ctrl-C twice gives them up)"
            self._console.print(said, style="yellow", markup=False, soft_wrap=True)
        elif before and not progress.trouble:
            self._console.print(f"{time.strftime('%H:%M:%S')} Kafka answers again", style="green")


def print_summary(console: Console, summary: Summary) -> None:
    """The summary for a person: one line, then the counts by class and by type, then what went wrong."""
    outcome = "all acknowledged" if summary.complete else f"{summary.failed:,} NOT acknowledged"
    sent = f"{summary.sent:,} sent to {summary.topic} in {summary.seconds:,.1f} s ({summary.rate:,.0f}/s)"
    how = f"{'interrupted, ' if summary.interrupted else ''}seed {summary.seed}"
    console.print(f"{sent}, {outcome}; {how}", highlight=False, soft_wrap=True)
    console.print(_counts(summary))
    for error, count in summary.errors.items():
        console.print(f"{count:,} not acknowledged: {error}", style="red", highlight=False, soft_wrap=True)


def _counts(summary: Summary) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("class", "type"):
        table.add_column(heading)
        table.add_column("acknowledged", justify="right")
    classes, types = list(summary.by_class.items()), list(summary.by_type.items())
    for row in range(max(len(classes), len(types))):
        table.add_row(*_cells(classes, row), *_cells(types, row))
    return table


def _cells(pairs: list[tuple[str, int]], row: int) -> tuple[str, str]:
    return (pairs[row][0], f"{pairs[row][1]:,}") if row < len(pairs) else ("", "")
