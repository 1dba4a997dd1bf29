"""Events that arrive, by SQL: stored with their marks in batches, as an ingest leaves them.

What belongs here: who does what when in them. What does not: days of events without marks (`filled`), timings.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from assets.ingest.partitions import Partitions
from benchmarks.filled import PAYLOAD
from resources.postgres import Connection

_A_BATCH = 20_000
_EVENTS = f"""
insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset)
select gen_random_uuid(), e.at, e.type, e.user_id, {PAYLOAD}, '00000000-0000-0000-0000-000000000001', 0, e.nth
from (
    select r.*, 'user-' || r.u as user_id, coalesce(%(only)s::text, case
            when chance < 0.05 then 'login' when chance < 0.1 then 'logout' when chance < 0.7 then 'page_view'
            when chance < 0.9 then 'button_click' else 'form_submit'
        end) as type,
        case when %(addresses)s > 0 then '192.0.2.' || nth %% %(addresses)s
            else '10.0.' || r.u / 250 || '.' || r.u %% 250 end as ip,
        'device-' || r.u %% 7 as device, (chance * 20)::int as n,
        '/page/' || floor(power(random(), 4) * 500) as page,
        'https://example.com/' || floor(power(random(), 4) * 50) as referrer
    from (
        select nth, %(start)s + (nth - %(first)s + random()) * %(step)s as at, random() as chance,
            case when %(in_turn)s then nth %% %(users)s else floor(random() * %(users)s) end::int as u
        from generate_series(%(first)s::bigint, %(first)s::bigint + %(events)s - 1) as nth
    ) as r
) as e
"""  # noqa: S608
_MARKS = """
with batch as (
    insert into ops.batches (run_id, lane, kind, path, dedup_degraded, records, stored, duplicates_redis,
        duplicates_postgres, dead_letters, tombstones, retries, pull_seconds, decode_seconds, claim_seconds,
        frame_seconds, store_seconds)
    values ('bench', 0, 'ingest', 'copy', false, %(events)s, %(events)s, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    returning batch_id
), ranges as (
    insert into ops.batch_ranges (batch_id, topic_id, partition, start_offset, end_offset, records, stored, duplicates,
        dead_letters, tombstones)
    select batch_id, '00000000-0000-0000-0000-000000000001', 0, %(first)s, %(first)s::bigint + %(events)s,
        %(events)s, %(events)s, 0, 0, 0 from batch
)
insert into ops.dirty_buckets (hour, low, high, events, batch_id)
select date_trunc('hour', e.occurred_at, 'UTC') as hour, min(e.occurred_at), max(e.occurred_at), count(*), b.batch_id
from raw.events as e cross join batch as b
where e.occurred_at >= %(start)s and e.occurred_at <= %(start)s + %(events)s * %(step)s
    and e.kafka_offset >= %(first)s and e.kafka_offset < %(first)s::bigint + %(events)s
group by 1, b.batch_id
"""
_NEXT = "select coalesce(max(kafka_offset), 0) + 1 from raw.events"


@dataclass(frozen=True)
class Arrival:
    """So many events, evenly from `start` on for as long as `lasting`, of users who take turns or come by chance."""

    events: int
    start: datetime
    lasting: timedelta
    users: int = 20_000
    only: str | None = None
    addresses: int = 0
    in_turn: bool = False

    def store(self, connection: Connection, *, marked: bool = True) -> None:
        """Store them, in batches with marks, or all at once without."""
        ends = self.start + self.lasting
        days = [self.start + timedelta(days=n) for n in range((ends.date() - self.start.date()).days + 1)]
        Partitions().ensure(connection, [int(at.timestamp()) * 1_000_000 for at in days], self.start.date())
        step, size = self.lasting / self.events, _A_BATCH if marked else self.events
        [[first]] = connection.execute(_NEXT).fetchall()
        for done in range(0, self.events, size):
            bounds = {"first": first + done, "events": min(size, self.events - done), "start": self.start + done * step}
            self._store_batch(connection, {**bounds, "step": step}, marked=marked)

    def _store_batch(self, connection: Connection, bounds: dict[str, object], *, marked: bool) -> None:
        who = {"users": self.users, "only": self.only, "addresses": self.addresses, "in_turn": self.in_turn}
        with connection.transaction():
            connection.execute(_EVENTS.encode(), {**bounds, **who})
            if marked:
                connection.execute(_MARKS.encode(), bounds)
