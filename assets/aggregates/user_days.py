"""Helper rows per user and day, and their changes, from which profiles, active users, retention, funnel are counted.

What belongs here: filling `changes` and `trait_changes`, and writing them to ops.user_days and the traits. What does
not: what follows from the changes (`rollups`).
"""

import json
from collections.abc import Sequence
from datetime import datetime

import psycopg
from psycopg import sql

from assets.aggregates import marks
from assets.aggregates.funnel import Funnel
from assets.aggregates.plans import joined_by_hash
from assets.aggregates.sql import statement
from resources.postgres import Connection

_ANALYZE = "analyze changes; analyze trait_changes"
_CAME_FURTHER = """
update changes as c set funnel_steps = f.steps from ({furthest}) as f
where c.user_id = f.user_id and c.day = f.day and f.steps > c.funnel_steps
"""
# Who can have come further: users who are not through the funnel yet and took the next step just now, or any step at a
# time that may have decided the steps before (any time, where it is not known which). Where the next step was taken
# after everything else of the day, the steps before are as good as taken before all times, and no old event is read.
# Else the day's events are read: looked up day by day (`offset 0`), or one with many days would be all days times all
# events. Events of marks that wait are left out: no table holds them yet.
_CANDIDATES = """
with stepped as materialized (
    select c.user_id, c.day, c.funnel_steps,
        c.old_last_at is null or min(e.occurred_at) > c.old_last_at
        or coalesce(
            not bool_or(e.occurred_at <= c.funnel_at)
            and min(e.occurred_at) filter (where {next_step}) > c.old_last_at, false
        ) as in_order
    from changes as c inner join arrived as e on c.user_id = e.user_id and c.day = e.day
    where c.funnel_steps < {most} and {any_step}
    group by c.user_id, c.day, c.funnel_steps, c.old_last_at, c.funnel_at
    having c.funnel_at is null or bool_or(e.occurred_at <= c.funnel_at or {next_step})
),
there as materialized (
    select s.user_id, s.day, e.* from stepped as s
    cross join lateral (
        select r.event_id, date_trunc('hour', r.occurred_at, 'UTC') as hour, r.occurred_at, r.kafka_topic_id,
            r.kafka_partition, r.kafka_offset, r.type, r.payload
        from raw.events as r
        where r.user_id = s.user_id and r.occurred_at >= s.day::timestamp at time zone 'UTC'
            and r.occurred_at < (s.day + 1)::timestamp at time zone 'UTC'
            and r.occurred_at >= {low} and r.occurred_at < {high}
        offset 0
    ) as e
    where not s.in_order
){settled}
select s.user_id, s.day, e.occurred_at, e.kafka_topic_id, e.kafka_partition, e.kafka_offset, e.type, e.payload
from stepped as s inner join arrived as e on s.user_id = e.user_id and s.day = e.day
where s.in_order and {any_step}
union all
select s.user_id, s.day, timestamptz '4000-01-01 BC' + t.n * interval '1 second', '{nowhere}'::uuid, 0, t.n, t.type,
    t.payload
from stepped as s inner join (values {steps}) as t (n, type, payload) on t.n <= s.funnel_steps
where s.in_order
union all
select e.user_id, e.day, e.occurred_at, e.kafka_topic_id, e.kafka_partition, e.kafka_offset, e.type, e.payload
from settled as e where {any_step}
"""
_EVENTS = """
select r.user_id, (r.occurred_at at time zone 'UTC')::date as day, r.occurred_at, r.kafka_topic_id,
    r.kafka_partition, r.kafka_offset, r.type, r.payload
from raw.events as r where {events}
"""
_DIFFERENCES = """
with fresh as (
    select user_id, day, count(*) as events, count(*) filter (where type = 'login') as logins,
        count(*) filter (where type = 'page_view') as page_views,
        count(*) filter (where type = 'button_click') as button_clicks,
        count(*) filter (where type = 'form_submit') as form_submits,
        min(occurred_at) as first_at, max(occurred_at) as last_at
    from ({source}) as e group by user_id, day
),
steps as ({furthest}),
stored as (select * from ops.user_days as d where {rows})
insert into changes
select coalesce(f.user_id, d.user_id), coalesce(f.day, d.day), d.user_id is not null, f.user_id is not null,
    coalesce(f.events, 0) - coalesce(d.events, 0), coalesce(f.logins, 0) - coalesce(d.logins, 0),
    coalesce(f.page_views, 0) - coalesce(d.page_views, 0), coalesce(f.button_clicks, 0) - coalesce(d.button_clicks, 0),
    coalesce(f.form_submits, 0) - coalesce(d.form_submits, 0), d.first_at, f.first_at, d.last_at, f.last_at,
    coalesce(d.funnel_steps, 0), coalesce(s.steps, 0)
from fresh as f left join steps as s on f.user_id = s.user_id and f.day = s.day
full join stored as d on f.user_id = d.user_id and f.day = d.day
where (f.events, f.logins, f.page_views, f.button_clicks, f.form_submits, f.first_at, f.last_at, coalesce(s.steps, 0))
    is distinct from
    (d.events, d.logins, d.page_views, d.button_clicks, d.form_submits, d.first_at, d.last_at, d.funnel_steps)
"""
# The devices and addresses of users' days, counted as they are written, then listed. Any event may bring a field of
# these names, of any kind and length; the contract bounds those that count.
_TRAITS = """
select n.user_id, n.day, v.kind, v.value, sum(n.events)::bigint as events
from (
    select e.user_id, e.day, e.payload -> 'device' as device, e.payload -> 'ip' as ip, count(*) as events
    from ({source}) as e
    where e.payload ?| array['device', 'ip']
    group by 1, 2, 3, 4
) as n
cross join lateral (
    values ('device', jsonb_typeof(n.device), n.device #>> '{{}}'),
        ('ip', jsonb_typeof(n.ip), ops.canonical_address(n.ip #>> '{{}}'))
) as v (kind, shape, value)
where v.shape = 'string' and v.value <> '' and octet_length(v.value) <= 200
group by n.user_id, n.day, v.kind, v.value
"""
_TRAIT_CHANGES = "insert into trait_changes (user_id, day, kind, value, events) {traits}"
_TRAIT_DIFFERENCES = """
with fresh as ({traits}),
stored as (select * from ops.user_day_traits as d where {rows})
insert into trait_changes
select coalesce(f.user_id, d.user_id), coalesce(f.day, d.day), coalesce(f.kind, d.kind), coalesce(f.value, d.value),
    coalesce(f.events, 0) - coalesce(d.events, 0)
from fresh as f
full join stored as d on f.user_id = d.user_id and f.day = d.day and f.kind = d.kind and f.value = d.value
where f.events is distinct from d.events
"""


def merge(connection: Connection, low: datetime, high: datetime, funnel: Funnel) -> None:
    """The changes by what arrived between the bounds, and the rows after them."""
    _run(connection, "changes_arrived", funnel)
    connection.execute(sql.SQL(_TRAIT_CHANGES).format(traits=sql.SQL(_TRAITS).format(source=sql.SQL("table arrived"))))
    connection.execute(_ANALYZE)
    bounds = {"low": _literal(low), "high": _literal(high)}
    with joined_by_hash(connection):
        connection.execute(sql.SQL(_CAME_FURTHER).format(furthest=funnel.furthest(_candidates(funnel, **bounds))))
    _run(connection, "write_user_days", funnel)


def _candidates(funnel: Funnel, **bounds: sql.Literal) -> sql.Composed:
    steps = [
        sql.SQL("({}, {}, {}::jsonb)").format(
            sql.Literal(n), sql.Literal(step.type), sql.Literal(json.dumps(step.payload))
        )
        for n, step in enumerate(funnel.steps, 1)
    ]
    return sql.SQL(_CANDIDATES).format(
        most=len(funnel.steps),
        any_step=funnel.any_step,
        next_step=funnel.next_step(sql.SQL("c.funnel_steps")),
        steps=sql.SQL(", ").join(steps),
        settled=sql.SQL(marks.settled("users")),
        nowhere=sql.SQL("00000000-0000-0000-0000-000000000000"),
        **bounds,
    )


def rebuild(connection: Connection, low: datetime, high: datetime, funnel: Funnel) -> None:
    """The changes that make the days of [low, high) what raw.events says, and the rows after them."""
    events = sql.SQL("r.occurred_at >= {} and r.occurred_at < {}").format(_literal(low), _literal(high))
    rows = sql.SQL("d.day >= {} and d.day < {}").format(low.date().isoformat(), high.date().isoformat())
    _differences(connection, events, rows, funnel)


def forget(connection: Connection, users: Sequence[str], frontier: datetime, funnel: Funnel) -> None:
    """The changes that leave of users only what raw.events still holds, and the rows after them."""
    who = sql.SQL("{}::text[]").format(list(users))
    events = sql.SQL("r.user_id = any({}) and r.occurred_at >= {}").format(who, _literal(frontier))
    _differences(connection, events, sql.SQL("d.user_id = any({})").format(who), funnel)


def _differences(connection: Connection, events: sql.Composed, rows: sql.Composed, funnel: Funnel) -> None:
    source = sql.SQL(_EVENTS).format(events=events)
    furthest = funnel.furthest(source)
    with joined_by_hash(connection):
        connection.execute(sql.SQL(_DIFFERENCES).format(source=source, furthest=furthest, rows=rows))
    traits = sql.SQL(_TRAITS).format(source=source)
    connection.execute(sql.SQL(_TRAIT_DIFFERENCES).format(traits=traits, rows=rows))
    connection.execute(_ANALYZE)
    _run(connection, "write_user_days", funnel)


def _run(connection: Connection, name: str, funnel: Funnel) -> None:
    with psycopg.ClientCursor(connection) as cursor:  # it takes several statements
        cursor.execute(statement(name), {"funnel": funnel.key})


def _literal(moment: datetime) -> sql.Literal:
    return sql.Literal(moment.isoformat())
