"""Events made by SQL: visits of 20 events by 100,000 users to pages of which few are popular, a day at a time.

What belongs here: a PostgreSQL of its own, and raw.events as many days of ingest would have left it, without marks.
What does not: what is measured on it (`aggregates`).
"""

import contextlib
import tempfile
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assets.ingest.partitions import Partitions
from infra.local.harness import running
from infra.postgres.migrate import migrate
from resources.postgres import Connection, Postgres

DAY = timedelta(days=1)
PER_VISIT = 20

PAYLOAD = """jsonb_build_object('userId', e.user_id) || case e.type
    when 'login' then jsonb_build_object('ip', e.ip, 'device', e.device)
    when 'logout' then jsonb_build_object('ip', e.ip, 'duration', 500)
    when 'page_view' then jsonb_build_object('page', e.page, 'referrer', e.referrer, 'device', e.device)
    when 'button_click' then jsonb_build_object('buttonId', 'button-' || e.n, 'page', e.page)
    else jsonb_build_object('formId', 'form-' || e.n, 'fields', jsonb_build_object('name', 'x'))
end"""
"""Of an event `e`, from its user_id, type, ip, device, page, referrer and n."""

_FILL = f"""
insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset)
select
    gen_random_uuid(), e.at, e.type, e.user_id,
    {PAYLOAD},
    '00000000-0000-0000-0000-000000000001', 0, row_number() over ()
from (
    select
        v.began + n * interval '25 seconds' + random() * interval '20 seconds' as at,
        'user-' || v.u as user_id,
        '10.0.' || v.u / 250 || '.' || v.u %% 250 as ip,
        'device-' || v.u %% 7 as device,
        '/page/' || floor(power(random(), 4) * 500) as page,
        'https://example.com/' || floor(power(random(), 4) * 50) as referrer,
        n,
        case
            when n = 0 then 'login' when n = 19 then 'logout' when n %% 5 = 3 then 'button_click'
            when n %% 9 = 7 then 'form_submit' else 'page_view'
        end as type
    from (
        select
            floor(power(random(), 2) * 100000)::int as u,
            %(day)s + random() * interval '24 hours' as began
        from generate_series(1, %(visits)s)
    ) as v, generate_series(0, 19) as n
    order by 1
) as e
"""  # noqa: S608
_COUNT = """
insert into analytics.events_minutely (minute, type, events)
select date_trunc('minute', occurred_at, 'UTC'), type, count(*) from raw.events group by 1, 2
"""


@contextlib.contextmanager
def databases(*names: str) -> Generator[list[Postgres]]:
    """Migrated databases on a server of their own; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mr-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        with running(Path(directory), ("postgres",)) as services:
            server = services.environment["MILLRACE_POSTGRES_URL"]
            made: list[Postgres] = []
            for name in names:
                with Postgres(server).connect("bench") as connection:
                    connection.execute(f"create database {name}".encode())
                made.append(Postgres(server.rsplit("/", 1)[0] + "/" + name))
                migrate(made[-1].url)
            yield made


def today() -> datetime:
    """Midnight. Days from here on have partitions of their own, those before it share one."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def fill(connection: Connection, first: datetime, days: int, events: int) -> None:
    """Add so many events to the days from `first` on; visits of the last day may end on the next."""
    midnights = [first + n * DAY for n in range(days + 1)]
    Partitions().ensure(connection, [int(at.timestamp()) * 1_000_000 for at in midnights], first.date())
    connection.execute("select setseed(0.5)")
    for day in midnights[:-1]:
        connection.execute(_FILL, {"day": day, "visits": events // days // PER_VISIT})
    connection.execute("truncate analytics.events_minutely")
    connection.execute(_COUNT)
    connection.execute("vacuum analyze raw.events, analytics.events_minutely")
    connection.execute("checkpoint")
