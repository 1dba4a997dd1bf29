"""Checks that compare what is counted with what is stored, in one snapshot, so that ingest may go on meanwhile.

What belongs here: the questions (`sql/`), and what makes an answer right. What does not: Dagster (`checks`), when they
are asked, and the full proof against Kafka, record by record (`reconcile`).

They are asked of a few hours: those that ended last, and one of the past by lot. That costs what those hours hold.
"""

import random
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from assets.quality.sql import statement
from resources.postgres import Connection, Postgres, rollback

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MOST_DAYS = 3
_FINISHED_HOURS = 2


class CheckResult(NamedTuple):
    """What a check found."""

    check: str
    passed: bool
    said: str
    figures: dict[str, Any]


class CheckedHours(NamedTuple):
    """From `low` up to but not including `high`, whole hours."""

    low: datetime
    high: datetime


def look(postgres: Postgres, spans: Iterable[CheckedHours] | None, freshness: timedelta) -> list[CheckResult]:
    """All checks, in one snapshot.

    Args:
        postgres: read only.
        spans: the hours to compare; None for the current one, those that ended last, and one of the past by lot.
        freshness: how long the current hour may wait; earlier ones may wait twice as long.

    Raises:
        psycopg.Error: PostgreSQL cannot be asked.
    """
    with _snapshot(postgres) as connection:
        chosen = _readable(connection, list(spans) if spans is not None else recent(datetime.now(UTC)), spans is None)
        return [
            _compared(connection, "minute_counts_equal_raw", "minutes_against_raw", chosen),
            _compared(connection, "hourly_counts_equal_raw", "hours_against_raw", chosen),
            _sessions(connection, chosen),
            _compared(connection, "login_audit_equals_raw", "logins_against_raw", chosen),
            _waiting(connection, freshness),
            _ledger(connection),
        ]


def recent(now: datetime) -> list[CheckedHours]:
    """The hour that runs and those that ended last."""
    running = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return [CheckedHours(running - _FINISHED_HOURS * _HOUR, running + _HOUR)]


def some_days(span: tuple[datetime, datetime]) -> list[CheckedHours]:
    """A span that was rebuilt, or three days of it by lot where it is longer: the checks cost what the days hold."""
    low, high = span
    days = [CheckedHours(start, min(start + _DAY, high)) for start in _steps(low, high)]
    return sorted(random.sample(days, min(len(days), _MOST_DAYS)))


def _steps(low: datetime, high: datetime) -> Iterator[datetime]:
    while low < high:
        yield low
        low += _DAY


@contextmanager
def _snapshot(postgres: Postgres) -> Generator[Connection]:
    with postgres.connect("millrace-checks", statement_timeout_seconds=600) as connection:
        connection.execute("begin isolation level repeatable read, read only")
        try:
            yield connection
        finally:
            rollback(connection)


def _readable(connection: Connection, spans: list[CheckedHours], add_one_by_lot: bool) -> list[CheckedHours]:
    """Without what lies behind the retention frontier, where raw events are gone and counts are frozen."""
    row: Any = connection.execute(statement("frontier")).fetchone()
    frontier, first, last = row
    if add_one_by_lot and first is not None:
        low = first + random.randrange(int((last - first) / _HOUR) + 1) * _HOUR  # noqa: S311 - a sample, not a secret
        spans = [*spans, CheckedHours(low, low + _HOUR)]
    if frontier is None:
        return spans
    return [CheckedHours(max(low, frontier), high) for low, high in spans if high > frontier]


def _compared(connection: Connection, check: str, query: str, spans: Iterable[CheckedHours]) -> CheckResult:
    events = wrong = 0
    first: datetime | None = None
    for span in spans:
        row: Any = connection.execute(statement(query), span._asdict()).fetchone()
        events, wrong, first = events + row[0], wrong + row[1], first or row[2]
    said = f"{events:,} stored events compared, every count is right"
    if wrong:
        said = f"{wrong} counts are wrong, the first at {first}: rebuild that hour (`millrace backfill`)"
    return CheckResult(check, not wrong, said, {"events": events, "wrong": wrong, **_spans(spans)})


def _sessions(connection: Connection, spans: Iterable[CheckedHours]) -> CheckResult:
    stored = kept = waiting = 0
    passed = True
    for span in spans:
        row: Any = connection.execute(statement("sessions_against_raw"), span._asdict()).fetchone()
        stored, kept, waiting = stored + row[0], kept + row[1], waiting + row[2]
        # Events that wait are in no session, but those of a session that crosses an edge are counted from raw.events.
        passed = passed and 0 <= row[0] - row[1] <= row[2]
    said = f"{stored:,} events are stored, {kept:,} belong to sessions, {waiting:,} wait"
    return CheckResult(
        "session_events_equal_raw",
        passed,
        said,
        {"events": stored, "in_sessions": kept, "waiting": waiting, **_spans(spans)},
    )


def _waiting(connection: Connection, freshness: timedelta) -> CheckResult:
    row: Any = connection.execute(statement("longest_waiting")).fetchone()
    current, earlier, marks = float(row[0]), float(row[1]), int(row[2])
    allowed = freshness.total_seconds()
    said = (
        f"the current hour waits for {current:.1f} s of {allowed:.0f}, earlier ones {earlier:.1f} of {2 * allowed:.0f}"
    )
    figures = {"current_hour_seconds": round(current, 1), "earlier_hours_seconds": round(earlier, 1), "marks": marks}
    return CheckResult("no_hour_waits_too_long", current <= allowed and earlier <= 2 * allowed, said, figures)


def _ledger(connection: Connection) -> CheckResult:
    found = connection.execute(statement("ledger"))
    names = [column.name for column in found.description or ()]
    row: Any = found.fetchone()
    figures = dict(zip(names, row, strict=True))
    wrong = disagreements(figures)
    said = "; ".join(wrong) or (
        f"{figures['records']:,} records = {figures['stored']:,} events + {figures['dead_letters']:,} dead letters"
        f" + {figures['duplicates']:,} duplicates + records without an event"
    )
    return CheckResult("ledger_equals_tables", not wrong, said, figures)


def disagreements(figures: dict[str, int]) -> list[str]:
    """Where the ledger's sums and the tables differ, in words."""
    pairs = {
        "stored": ("counted_events", "events are counted by minute"),
        "dead_letters": ("letters", "dead letters are kept"),
        **{name: (f"range_{name}", "by partition") for name in ("records", "duplicates")},
    }
    pairs["stored by partition"] = ("range_stored", "by partition")
    return [
        f"the ledger says {figures[name.split()[0]]:,} {name.replace('_', ' ')}, {figures[other]:,} {what}"
        for name, (other, what) in pairs.items()
        if figures[name.split()[0]] != figures[other]
    ]


def _spans(spans: Iterable[CheckedHours]) -> dict[str, str]:
    return {"hours": ", ".join(f"{low:%Y-%m-%d %H:%M} to {high:%Y-%m-%d %H:%M}" for low, high in spans)}


CHECKS: dict[str, str] = {
    "minute_counts_equal_raw": "events_minutely counts exactly what raw.events holds, by minute and type.",
    "hourly_counts_equal_raw": "events_hourly counts exactly what raw.events holds, without the events that wait.",
    "session_events_equal_raw": "Every stored event belongs to exactly one session.",
    "login_audit_equals_raw": "login_audit has a row for each login and logout, without those that wait.",
    "no_hour_waits_too_long": "No hour's latest events wait longer than MILLRACE_FRESHNESS (earlier hours: twice).",
    "ledger_equals_tables": "Ledger = events + dead letters + duplicates. `millrace reconcile` proves it by record.",
}
