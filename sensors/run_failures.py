"""Reports failed runs once for each cause, not once for each run, and counts them.

What belongs here: finding failed runs that are not counted yet, the transaction that counts them, and the thin shell.
What does not: the names of the causes (`failure_causes`), and who is woken (the alert MillraceRunFailures).

What is counted stands in `ops.failed_runs`, by the transaction that counts it. So two ticks at once, or one that is
killed, count nothing twice and nothing never; only the report may then be made twice. That a tick remembers when all
runs were looked at last saves work and decides nothing.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from logging import Logger
from typing import Any, NamedTuple

import dagster as dg
import psycopg

from resources.postgres import Connection, Postgres, WarmConnection, commit, rollback
from sensors.failure_causes import cause_of
from sensors.kafka_offsets import kept_connection
from sensors.sql import statement

NAME = "run_failures"
RUNBOOK = "docs/runbook.md#millracerunfailures"
_INTERVAL_SECONDS = 5
_LONGEST_EVENT = 250_000  # characters; what is longer is not read
# Between looks at all failed runs (2 us each, and there may be hundreds of thousands) only young ones are looked at.
_YOUNG, _WHOLE_LOOK_SECONDS = timedelta(minutes=15), 300.0
_EVER = datetime(1, 1, 1, tzinfo=UTC)


class FailedRun(NamedTuple):
    """A failed run and its cause."""

    run_id: str
    job: str
    failed_at: datetime
    cause: str


class FailureCount(NamedTuple):
    """What a tick counted of one cause, and whether that is to be reported: it is new, or was quiet for a while."""

    job: str
    cause: str
    runs: int
    first_at: datetime
    last_run_id: str
    reported: bool


def explain(counted: Sequence[FailureCount], *, more: bool) -> str:
    """What a tick did, for the UI."""
    if not counted:
        return "no new failures"
    told = [
        f"{_runs(each)} failed since {each.first_at:%Y-%m-%d %H:%M:%S}: {each.cause}"
        f"{'; reported' if each.reported else ''}"
        for each in counted
    ]
    return ". ".join([*told, "More are counted in the next tick"] if more else told)


def report(counted: Iterable[FailureCount], log: Logger) -> None:
    """One line for each cause that is to be reported. No text of any error: it may quote data."""
    for each in counted:
        if each.reported:
            log.warning("%s failed: %s. The last: %s. See %s", _runs(each), each.cause, each.last_run_id, RUNBOOK)


def _runs(counted: FailureCount) -> str:
    return f"{counted.runs} {'run' if counted.runs == 1 else 'runs'} of {counted.job}"


@dataclass
class RunFailures:
    """The database in whose schema `dagster` the runs are; so many of them a tick."""

    postgres: Postgres
    quiet: timedelta = timedelta(hours=1)
    most: int = 300
    clock: Callable[[], float] = time.monotonic
    _whole_look: float = field(default=-math.inf, repr=False)
    _ticking: threading.Lock = field(default_factory=threading.Lock, repr=False)  # the connection is one

    def tick(self, log: Callable[[], Logger]) -> str:
        """Count what failed and is not counted yet, and report it; what was done, for people.

        Dagster makes an instance for its log, at a cost above that of all the rest: only where something failed.

        Raises:
            psycopg.Error: PostgreSQL cannot be asked; nothing was counted, the next tick does it.
        """
        with self._ticking:
            try:
                return self._tick(self._database.connection(), log)
            except psycopg.Error as error:
                self._database.failed(error)
                raise

    def _tick(self, connection: Connection, log: Callable[[], Logger]) -> str:
        if not _has_runs(connection):
            return "Dagster keeps its runs in another database: they cannot be counted"
        found = self.find(connection)
        counted = self.count(connection, found, log()) if found else []
        return explain(counted, more=len(found) >= self.most)

    def find(self, connection: Connection) -> list[FailedRun]:
        """Failed runs that are not counted, the oldest first, with their causes."""
        whole = self.clock() - self._whole_look >= _WHOLE_LOOK_SECONDS
        since = _EVER if whole else datetime.now(UTC) - _YOUNG
        runs = connection.execute(statement("new_failures"), {"since": since, "most": self.most}).fetchall()
        if whole and len(runs) < self.most:
            self._whole_look = self.clock()
        events = _events(connection, [run_id for run_id, _, _ in runs]) if runs else {}
        return [FailedRun(run_id, job, at, cause_of(events.get(run_id, ()))) for run_id, job, at in runs]

    def count(self, connection: Connection, found: Sequence[FailedRun], log: Logger) -> list[FailureCount]:
        """One transaction. The report is made before COMMIT: twice is better than never."""
        which = {
            "runs": [each.run_id for each in found],
            "jobs": [each.job for each in found],
            "causes": [each.cause for each in found],
            "times": [each.failed_at for each in found],
            "quiet": self.quiet,
        }
        connection.execute("begin")
        try:
            rows = connection.execute(statement("count_failures"), which).fetchall()
            counted = [FailureCount(*row) for row in rows]
            report(counted, log)
            commit(connection)
        except BaseException:
            rollback(connection)
            raise
        return counted

    @cached_property
    def _database(self) -> WarmConnection:
        return kept_connection(self.postgres)


def _events(connection: Connection, runs: list[str]) -> Mapping[str, list[dg.DagsterEvent]]:
    found: dict[str, list[dg.DagsterEvent]] = {}
    rows: Iterable[Any] = connection.execute(
        statement("failure_events"), {"runs": runs, "longest": _LONGEST_EVENT}
    ).fetchall()
    for run_id, text in rows:
        entry = dg.deserialize_value(text, dg.EventLogEntry)
        if entry.dagster_event is not None:
            found.setdefault(run_id, []).append(entry.dagster_event)
    return found


def _has_runs(connection: Connection) -> bool:
    row = connection.execute("select to_regclass('dagster.runs') is not null").fetchone()
    return bool(row and row[0])


def run_failures_sensor(inputs: RunFailures) -> dg.SensorDefinition:
    """The sensor definition."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Counts failed runs by cause in ops.failure_causes, and reports each cause once: when it is new, "
        "or was quiet for an hour.",
    )
    def _sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(inputs.tick(lambda: context.log))

    return _sensor
