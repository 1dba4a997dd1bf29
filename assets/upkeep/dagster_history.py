"""Trims Dagster's own tables: finished runs with all that they wrote, in small transactions of SQL.

What belongs here: which runs may go, and their deletion. What does not: ticks and evaluations (the `retention` of
`dagster.yaml`), and the tables that do not grow by runs: asset_keys, kvs, snapshots, instigators, bulk_actions.

A run that Dagster deletes itself costs 13 ms, here 0.3 ms. A run stays as long as the UI stands on it: it holds the
newest event of its kind of an asset or of one of its partitions, or the newest execution of a check, or belongs to a
backfill, or was executed again and that run is still there.

Runs that go are added to the total of ended runs in the same transaction: together with those that are still there it
stays the same.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from assets.upkeep.sql import statement
from monitoring.metrics.totals import NO_LANE, Totals
from resources.postgres import Connection, Postgres, commit, rollback

APPLICATION = "millrace-upkeep"

_DELETIONS = {
    "asset_event_tags": "delete_event_tags",
    "event_logs": "delete_events",
    "asset_check_executions": "delete_check_executions",
}
_RESULTS: Mapping[str, str] = MappingProxyType({"SUCCESS": "success", "FAILURE": "failure", "CANCELED": "canceled"})
_VACUUMED = ("runs", "run_tags", "event_logs", "asset_event_tags", "asset_check_executions")
_CHECKS = 5_000  # a transaction
_WORTH_A_VACUUM = 100  # runs; below that autovacuum is soon enough


@dataclass(frozen=True)
class RunHistory:
    """Which runs may go, and how many at a time."""

    jobs: tuple[str, ...]
    succeeded: timedelta = timedelta(hours=6)
    failed: timedelta = timedelta(days=7)
    batch: int = 500
    budget: timedelta = timedelta(minutes=5)


@dataclass
class Trimmed:
    """What a pass did: rows deleted by table, runs that stayed although they are old, transactions, seconds."""

    rows: dict[str, int] = field(default_factory=dict[str, int])
    kept: int = 0
    transactions: int = 0
    seconds: float = 0.0
    done: bool = True
    vacuumed: bool = False

    @property
    def runs(self) -> int:
        """Runs deleted."""
        return self.rows.get("runs", 0)


def trim(
    postgres: Postgres,
    history: RunHistory,
    now: datetime | None = None,
    failpoint: Callable[[str], None] = lambda _: None,
) -> Trimmed:
    """Delete what is older than the history says, for as long as the budget lasts; the next pass goes on.

    Args:
        postgres: the database in whose schema `dagster` the tables are; without them nothing happens.
        history: which runs.
        now: instead of the clock, for tests.
        failpoint: called before each COMMIT.

    Raises:
        psycopg.Error: the database cannot be asked, or locks were not had in time; each run is gone or there, whole.
    """
    began = time.monotonic()
    with postgres.connect(APPLICATION, statement_timeout_seconds=60) as connection:
        if not _has_tables(connection):
            return Trimmed()
        connection.execute("set lock_timeout = '2s'")
        found = _Pass(connection, history, now or datetime.now(UTC), failpoint)
        trimmed = found.trimmed
        while found.batch() or found.runless_checks() or found.superseded_partitions() or found.failed_runs():
            if time.monotonic() - began > history.budget.total_seconds():
                trimmed.done = False
                break
        if trimmed.runs >= _WORTH_A_VACUUM:
            _vacuum(connection)
            trimmed.vacuumed = True
    trimmed.seconds = time.monotonic() - began
    return trimmed


class _Pass:
    """One way through the runs in the order of their ids, a transaction a page."""

    def __init__(
        self, connection: Connection, history: RunHistory, now: datetime, failpoint: Callable[[str], None]
    ) -> None:
        self.trimmed = Trimmed()
        self._connection = connection
        self._reached = failpoint
        self._after = 0
        self._which = {
            "jobs": list(history.jobs),
            "succeeded_before": _naive(now - history.succeeded),
            "failed_before": _naive(now - history.failed),
            "most": history.batch,
        }
        self._failed_before = now - history.failed
        # Asked once: what is no longer the newest at the end of the pass goes with the next one.
        self._newest_checks = {row[0] for row in connection.execute(statement("newest_checks"))}

    def batch(self) -> bool:
        """One transaction; whether there was anything to look at."""
        self._connection.execute("begin")
        try:
            page = self._connection.execute(
                statement("finished_runs"), {**self._which, "after": self._after}
            ).fetchall()
            gone = self._removable([run_id for _, run_id in page])
            if gone:
                self._delete(gone)
            self._reached("before_commit")
            commit(self._connection)
        except BaseException:
            rollback(self._connection)
            raise
        self._after = page[-1][0] if page else self._after
        self.trimmed.kept += len(page) - len(gone)
        self.trimmed.transactions += bool(page)
        return bool(page)

    def runless_checks(self) -> bool:
        """One transaction, when the runs are done: checks that were reported without a run; whether there were any."""
        bounds = {"before": self._which["succeeded_before"], "most": _CHECKS}
        deleted = self._connection.execute(statement("delete_runless_checks"), bounds).rowcount
        self._add("runless_checks", deleted)
        return deleted > 0

    def superseded_partitions(self) -> bool:
        """One transaction, then: what a refresh told of partitions that were rebuilt since; whether there were any."""
        bounds = {"most": _CHECKS}
        deleted = self._connection.execute(statement("delete_superseded_partitions"), bounds).rowcount
        self._add("superseded_partitions", deleted)
        return deleted > 0

    def failed_runs(self) -> bool:
        """One transaction, after these: the sensor run_failures need not know runs that are gone; whether any were."""
        bounds = {"before": self._failed_before, "most": _CHECKS}
        deleted = self._connection.execute(statement("delete_failed_runs"), bounds).rowcount
        self._add("failed_runs", deleted)
        return deleted > 0

    def _delete(self, runs: list[str]) -> None:
        for table, name in _DELETIONS.items():
            self._add(table, self._connection.execute(statement(name), {"runs": runs}).rowcount)
        ended = Totals()
        for job, status, many in self._connection.execute(statement("delete_runs"), {"runs": runs}).fetchall():
            self._add("runs", many)
            ended.count("millrace_runs_total", job, _RESULTS[status], by=many)
        ended.write(self._connection, NO_LANE)

    def _add(self, table: str, rows: int) -> None:
        self.trimmed.rows[table] = self.trimmed.rows.get(table, 0) + rows

    def _removable(self, runs: list[str]) -> list[str]:
        if not runs:
            return []
        needed = {row[0] for row in self._connection.execute(statement("needed_runs"), {"runs": runs})}
        return [run for run in runs if run not in needed and run not in self._newest_checks]


def _has_tables(connection: Connection) -> bool:
    row = connection.execute("select to_regclass('dagster.runs') is not null").fetchone()
    return bool(row and row[0])


def _naive(at: datetime) -> datetime:
    """As Dagster writes times: UTC, without saying so."""
    return at.astimezone(UTC).replace(tzinfo=None)


def _vacuum(connection: Connection) -> None:
    """Make the space usable again and bring the planner's figures up to date. Outside of any transaction."""
    connection.execute("set statement_timeout = 0")
    for table in _VACUUMED:
        connection.execute(f"vacuum (analyze) dagster.{table}".encode())
