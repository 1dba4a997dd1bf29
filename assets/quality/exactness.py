"""Checks that compare what is counted with what is stored, in one snapshot, so that ingest may go on meanwhile.

What belongs here: the questions (`sql/`), and what makes an answer right. What does not: Dagster (`checks`), when they
are asked, and the full proof against Kafka, record by record (`reconcile`).

They are asked of a few hours: those that ended last or were rebuilt, one of the past by lot, and those that were wrong
when they were asked last: what is wrong stays in view until it is right. That costs what those hours hold.
"""

import random
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from psycopg import sql

from assets.aggregates.catalog import COUNTED, Aggregate
from assets.aggregates.tables import facts
from assets.periods import HOUR, TimeSpan, floor_hour
from assets.quality.sql import statement
from resources.postgres import Connection, Postgres, rollback

_MOST_DAYS = 3
_FINISHED_HOURS = 2
Query = bytes | sql.Composed
# Hours in which a table counts more facts than raw.events has, or fewer by more than wait: of any table that counts
# facts by hour. What waits in an hour may be a fact of the table or not, so it is a bound.
_FACTS = """
with events as (
    select date_trunc('hour', r.occurred_at, 'UTC') as hour, r.type, r.user_id, r.payload
    from raw.events as r where r.occurred_at >= %(low)s and r.occurred_at < %(high)s
),
stored as (select f.hour, count(*) as facts from ({facts}) as f group by 1),
kept as (
    select t.hour, sum(t.{count}) as facts from {table} as t where t.hour >= %(low)s and t.hour < %(high)s group by 1
),
waiting as (
    select d.hour, sum(d.events) as events
    from ops.dirty_buckets as d where d.hour >= %(low)s and d.hour < %(high)s
        and not exists (select 1 from ops.taken_marks as t where t.consumer = 'hourly' and t.mark_id = d.mark_id)
    group by 1
),
compared as (
    select coalesce(s.hour, k.hour) as hour, coalesce(s.facts, 0) as facts,
        coalesce(s.facts, 0) - coalesce(k.facts, 0) as missing
    from stored as s full join kept as k on s.hour = k.hour
),
judged as (
    select c.*, c.missing not between 0 and coalesce(w.events, 0) as wrong
    from compared as c left join waiting as w on c.hour = w.hour
)
select coalesce(sum(facts), 0)::bigint, count(*) filter (where wrong), min(hour) filter (where wrong) from judged
"""


class CheckResult(NamedTuple):
    """What a check found; `wrong` are the spans that it failed for, of checks that are asked of spans."""

    check: str
    passed: bool
    said: str
    figures: dict[str, Any]
    wrong: tuple[TimeSpan, ...] = ()


def look(
    postgres: Postgres,
    spans: Iterable[TimeSpan] | None,
    freshness: timedelta,
    again: Iterable[TimeSpan] = (),
    names: Collection[str] | None = None,
) -> list[CheckResult]:
    """Checks, in one snapshot.

    Args:
        postgres: read only.
        spans: the hours to compare; None for the current one, those that ended last, and one of the past by lot.
        freshness: how long the current hour may wait; earlier ones may wait twice as long.
        again: what was wrong the last time, and is compared, too.
        names: which checks; None for all.

    Raises:
        psycopg.Error: PostgreSQL cannot be asked.
    """
    with _snapshot(postgres) as connection:
        asked = [*(recent(datetime.now(UTC)) if spans is None else spans), *again]
        chosen = _readable(connection, asked, spans is None)
        questions: dict[str, Callable[[], CheckResult]] = {
            **{
                check: partial(_compared, connection, check, statement(query), chosen)
                for check, query in _COMPARED.items()
            },
            **{
                check: partial(_compared, connection, check, _facts_against_raw(table), chosen)
                for check, table in COUNTED_CHECKS.items()
            },
            "session_events_equal_raw": lambda: _sessions(connection, chosen),
            "no_hour_waits_too_long": lambda: _waiting(connection, freshness),
            "ledger_equals_tables": lambda: _ledger(connection),
        }
        return [questions[name]() for name in CHECKS if names is None or name in names]


def recent(now: datetime) -> list[TimeSpan]:
    """The hour that runs and those that ended last."""
    running = floor_hour(now)
    return [TimeSpan(running - _FINISHED_HOURS * HOUR, running + HOUR)]


def some_days(span: TimeSpan) -> list[TimeSpan]:
    """A span that was rebuilt, or three days of it by lot where it is longer: the checks cost what the days hold."""
    days = list(span.days())
    return sorted(random.sample(days, min(len(days), _MOST_DAYS)))


@contextmanager
def _snapshot(postgres: Postgres) -> Generator[Connection]:
    with postgres.connect("millrace-checks", statement_timeout_seconds=600) as connection:
        connection.execute("begin isolation level repeatable read, read only")
        try:
            yield connection
        finally:
            rollback(connection)


def _readable(connection: Connection, spans: list[TimeSpan], add_one_by_lot: bool) -> list[TimeSpan]:
    """Without what lies behind the retention frontier, where raw events are gone and counts are frozen; each once."""
    row: Any = connection.execute(statement("frontier")).fetchone()
    frontier, first, last = row
    if add_one_by_lot and first is not None:
        low = first + random.randrange(int((last - first) / HOUR) + 1) * HOUR  # noqa: S311 - a sample, not a secret
        spans = [*spans, TimeSpan(low, low + HOUR)]
    if frontier is not None:
        spans = [TimeSpan(max(low, frontier), high) for low, high in spans if high > frontier]
    return list(dict.fromkeys(spans))


def _compared(connection: Connection, check: str, query: Query, spans: Sequence[TimeSpan]) -> CheckResult:
    events, counts = 0, dict[TimeSpan, int]()
    first: datetime | None = None
    for span in spans:
        row: Any = connection.execute(query, span._asdict()).fetchone()
        events, counts[span], first = events + row[0], row[1], first or row[2]
    wrong = tuple(span for span, count in counts.items() if count)
    said = f"{events:,} events compared, every count is right"
    if wrong:
        said = f"{sum(counts.values())} counts are wrong, the first at {first}: rebuild that hour (`millrace backfill`)"
    return CheckResult(
        check, not wrong, said, {"events": events, "wrong": sum(counts.values()), **_spans(spans)}, wrong
    )


def _sessions(connection: Connection, spans: Sequence[TimeSpan]) -> CheckResult:
    rows: dict[TimeSpan, Any] = {
        span: connection.execute(statement("sessions_against_raw"), span._asdict()).fetchone() for span in spans
    }
    stored, kept, waiting = (sum(row[i] for row in rows.values()) for i in range(3))
    # Events that wait are in no session, but those of a session that crosses an edge are counted from raw.events.
    wrong = tuple(span for span, row in rows.items() if not 0 <= row[0] - row[1] <= row[2])
    said = f"{stored:,} events are stored, {kept:,} belong to sessions, {waiting:,} wait"
    figures = {"events": stored, "in_sessions": kept, "waiting": waiting, **_spans(spans)}
    return CheckResult("session_events_equal_raw", not wrong, said, figures, wrong)


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
        "dead_letters": ("kept_dead_letters", "dead letters are kept"),
        **{name: (f"range_{name}", "by partition") for name in ("records", "duplicates")},
    }
    pairs["stored by partition"] = ("range_stored", "by partition")
    return [
        f"the ledger says {figures[name.split()[0]]:,} {name.replace('_', ' ')}, {figures[other]:,} {what}"
        for name, (other, what) in pairs.items()
        if figures[name.split()[0]] != figures[other]
    ]


def _spans(spans: Iterable[TimeSpan]) -> dict[str, str]:
    return {"hours": ", ".join(map(str, spans))}


def _facts_against_raw(table: Aggregate) -> sql.Composed:
    """The hours whose facts are not counted: too many, or fewer than wait. Names and facts are the declaration's."""
    return sql.SQL(_FACTS).format(
        facts=facts(table.name),
        table=sql.Identifier(table.schema, table.name),
        count=sql.Identifier(table.count or ""),
    )


_COMPARED = {
    "minute_counts_equal_raw": "minutes_against_raw",
    "hourly_counts_equal_raw": "hours_against_raw",
    "login_audit_equals_raw": "logins_against_raw",
    "logins_hourly_equals_audit": "logins_against_audit",
    "user_days_equal_minutes": "user_days_against_minutes",
    "active_users_equal_user_days": "days_against_users",
}
"""Checks by the statement that answers: how many events, how many counts are wrong, the first of them."""
COUNTED_CHECKS = {f"{each.name}_equals_raw": each for each in COUNTED if each.name != "events_hourly"}
"""Of the other tables that count facts by hour: a check each, also for those that are declared later."""
CHECKS: dict[str, str] = {
    "minute_counts_equal_raw": "events_minutely counts exactly what raw.events holds, by minute and type.",
    "hourly_counts_equal_raw": "events_hourly counts exactly what raw.events holds, without the events that wait.",
    "session_events_equal_raw": "Every stored event belongs to exactly one session.",
    "login_audit_equals_raw": "login_audit has a row for each login and logout, without those that wait.",
    "logins_hourly_equals_audit": "logins_hourly counts exactly the logins and logouts of login_audit.",
    "user_days_equal_minutes": "Every stored event is counted for its user and day, without those that wait.",
    "active_users_equal_user_days": "Active users of a day are the users that user_days has on it.",
    **{
        check: f"{table.name} counts every event of raw.events that its definition means, without those that wait."
        for check, table in COUNTED_CHECKS.items()
    },
    "no_hour_waits_too_long": "No hour's latest events wait longer than MILLRACE_FRESHNESS (earlier hours: twice).",
    "ledger_equals_tables": "Ledger = events + dead letters + duplicates. `millrace reconcile` proves it by record.",
}
