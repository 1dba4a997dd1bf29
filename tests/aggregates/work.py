"""Counts what statements do: rows that pass through their plans and pages that they touch, never seconds.

What belongs here: filling raw.events and marks by SQL, and counting the work of one transaction of a refresh. What does
not: which databases are compared (`test_work`).
"""

import re
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import psycopg

from assets.aggregates.pace import Pace
from assets.aggregates.writer import AggregateWriter
from tests.support.world import World

TOPIC_ID = "00000000-0000-0000-0000-00000000000a"
_EVENTS = """
insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset)
select md5(n::text)::uuid, %(start)s + (n - %(first)s) * %(step)s, t.type, t.user_id,
    jsonb_build_object('userId', t.user_id) || case t.type
        when 'login' then jsonb_build_object('ip', '10.0.0.' || n %% 200, 'device', 'device-' || n %% 7)
        when 'logout' then jsonb_build_object('ip', '10.0.0.' || n %% 200, 'duration', 500)
        when 'page_view' then jsonb_build_object('page', '/page/' || n %% 50, 'referrer', '', 'device', 'phone')
        when 'button_click' then jsonb_build_object('buttonId', 'add-to-cart', 'page', '/page/' || n %% 50)
        else jsonb_build_object('formId', 'checkout', 'fields', '{}'::jsonb)
    end, %(topic)s, n %% 2, n
from generate_series(%(first)s::bigint, %(first)s::bigint + %(events)s - 1) as n
cross join lateral (
    select (array['login', 'page_view', 'page_view', 'button_click', 'form_submit', 'logout'])[n / 3 %% 6 + 1] as type,
        case when %(skewed)s and n %% 2 = 0 then 'one' else 'user-' || n %% %(users)s::integer end as user_id
) as t
"""
_BATCH = """
with batch as (
    insert into ops.batches (run_id, lane, kind, path, dedup_degraded, records, stored, duplicates_redis,
        duplicates_postgres, dead_letters, tombstones, retries, pull_seconds, decode_seconds, claim_seconds,
        frame_seconds, store_seconds)
    values ('test', 0, 'ingest', 'copy', false, %(events)s, %(events)s, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    returning batch_id
), ranges as (
    insert into ops.batch_ranges (batch_id, topic_id, partition, start_offset, end_offset, records, stored, duplicates,
        dead_letters, tombstones)
    select batch_id, %(topic)s, p, %(first)s, %(first)s::bigint + %(events)s, 0, 0, 0, 0, 0
    from batch cross join generate_series(0, 1) as p
)
insert into ops.dirty_buckets (hour, low, high, events, batch_id, event_ids)
select date_trunc('hour', e.occurred_at, 'UTC') as hour, min(e.occurred_at), max(e.occurred_at), count(*),
    case when not %(listed)s then b.batch_id end, case when %(listed)s then array_agg(e.event_id) end
from raw.events as e cross join batch as b
where e.kafka_offset >= %(first)s and e.kafka_offset < %(first)s::bigint + %(events)s and e.kafka_topic_id = %(topic)s
group by 1, b.batch_id
"""


class Enough(Exception):
    """Ends a transaction before its COMMIT."""


def store(
    world: World,
    events: int,
    start: datetime,
    step: timedelta,
    *,
    users: int = 500,
    skewed: bool = False,
    listed: bool = False,
) -> None:
    """Events and their marks, as an ingest would have left them, in one batch.

    Args:
        world: where.
        events: how many.
        start: of the first.
        step: from one to the next.
        users: who take turns.
        skewed: half of all events are one user's.
        listed: the marks list the events; else the offsets of a batch identify them.
    """
    first = world.one("select coalesce(max(kafka_offset), 0) + 1 from raw.events")
    values = {"events": events, "start": start, "step": step, "users": users, "skewed": skewed, "listed": listed}
    values |= {"first": first, "topic": TOPIC_ID}
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as connection, connection.transaction():
        connection.execute(_EVENTS, values)
        connection.execute(_BATCH, values)


def paced(aggregates: AggregateWriter, events: int) -> None:
    """Let the next transaction of each consumer take so many events at most."""
    for each in aggregates.consumers:
        each.pace = Pace(events)


def one_group(aggregates: AggregateWriter, group: str, most: int = 1_000_000) -> bool:
    """One transaction of one group, after which the others are behind it; whether it took anything in."""
    every = [part for each in aggregates.consumers for part in (each, *each.apart)]
    [consumer] = [each for each in every if [*each.merges] == [group]]
    return consumer.take(None, most, 60, lambda _: None) is not None


def work_of_a_refresh(aggregates: AggregateWriter) -> Counter[str]:
    """What each statement does in a transaction that takes in all that waits; none is committed."""

    def stop(name: str) -> None:
        if name.endswith("_before_commit"):
            raise Enough

    paced(aggregates, aggregates.events_per_transaction)
    with mock.patch.object(aggregates, "failpoint", stop), counting() as work, suppress(Enough):
        aggregates.refresh()
    return work


@contextmanager
def counting() -> Generator[Counter[str]]:
    """The work of every statement that is executed inside, by its text without values."""
    work, execute = Counter[str](), psycopg.Cursor.execute

    def explained(cursor: psycopg.Cursor[Any], query: Any, params: Any = None, **more: Any) -> Any:
        text = psycopg.ClientCursor(cursor.connection).mogrify(query, params)
        if re.match(r"(\s*--.*\n)*\s*(with|insert|update|delete|select)\b(?!.*(pg_advisory|ops\.retention_))", text):
            _explain(cursor.connection, text, work, execute)
        return execute(cursor, query, params, **more)

    with mock.patch.object(psycopg.Cursor, "execute", explained):
        yield work


def _explain(connection: psycopg.Connection[Any], text: str, work: Counter[str], execute: Any) -> None:
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.INTRANS:
        return
    cursor = psycopg.ClientCursor(connection)
    execute(cursor, "savepoint counted")
    for each in re.split(r";\s*\n", re.sub(r"(^|\s)--.*", "", text).strip().removesuffix(";")):
        if re.match(r"\s*(with|insert|update|delete|select)\b", each):
            execute(cursor, f"explain (analyze, buffers, timing off, format json) {each}")
            [[[found]]] = cursor.fetchall()
            work[re.sub(r"'[^']*'(::\w+)?|\b\d+\b", "?", each)] += _rows(found["Plan"]) + _pages(found["Plan"])
        else:
            execute(cursor, each)
    execute(cursor, "rollback to savepoint counted")
    execute(cursor, "release savepoint counted")


def _rows(plan: dict[str, Any]) -> int:
    """Rows that nodes gave or threw away, over all loops."""
    thrown = sum(value for name, value in plan.items() if name.startswith("Rows Removed"))
    own = (plan["Actual Rows"] + thrown + 1) * plan["Actual Loops"]
    return round(own) + sum(_rows(each) for each in plan.get("Plans", []))


def _pages(plan: dict[str, Any]) -> int:
    return sum(plan[f"{kind} {what} Blocks"] for kind in ("Shared", "Local") for what in ("Hit", "Read"))
