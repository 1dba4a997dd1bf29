"""What somebody would write who needed each table once: one plain statement over raw.events, without any repair.

What belongs here: one INSERT's SELECT a table, as short as it gives the rows. What does not: Millrace's definitions
(`assets/aggregates`). Where those know more than one statement can (the flags of the audit, the steps of the
funnel, the sliding windows of active users), the plain one does without, which makes the comparison harder.
"""

# ruff: noqa: S608 - every text is here
import time
from collections.abc import Mapping
from datetime import datetime

from assets.aggregates.catalog import AGGREGATES
from resources.postgres import Connection

# As a refresh sets them, or the comparison is not fair.
_SESSION = "set jit = off; set work_mem = '64MB'"

_RAW = "from raw.events where occurred_at >= %(low)s and occurred_at < %(high)s"
_HOUR = "date_trunc('hour', occurred_at, 'UTC')"
_DAY = "(occurred_at at time zone 'UTC')::date"
_WEEK = "date_trunc('week', occurred_at at time zone 'UTC')::date"
_BY_TYPE = ", ".join(f"count(*) filter (where type = '{t}')" for t in ("page_view", "button_click", "form_submit"))


def _hourly(keys: str, kind: str, number: int = 1) -> str:
    numbers = ", ".join(str(n + 1) for n in range(number + 1))
    return f"select {_HOUR}, {keys}, count(*), count(distinct user_id) {_RAW} and type = '{kind}' group by {numbers}"


PLAIN: Mapping[str, str] = {
    "events_hourly": f"select {_HOUR}, type, count(*), count(distinct user_id) {_RAW} group by 1, 2",
    "pages_hourly": _hourly("payload ->> 'page'", "page_view"),
    "referrers_hourly": _hourly("coalesce(payload ->> 'referrer', '')", "page_view"),
    "buttons_hourly": _hourly("payload ->> 'buttonId', payload ->> 'page'", "button_click", 2),
    "forms_hourly": _hourly("payload ->> 'formId'", "form_submit"),
    "sessions": f"""
        with marked as (
            select *, occurred_at - lag(occurred_at) over w > interval '30 minutes' as begins {_RAW}
            window w as (partition by user_id order by occurred_at, event_id)
        ), numbered as (
            select *, count(*) filter (where begins) over (
                partition by user_id order by occurred_at, event_id rows unbounded preceding
            ) as session from marked
        )
        select
            gen_random_uuid(), user_id, min(occurred_at), max(occurred_at), count(*),
            count(*) filter (where type = 'page_view'),
            (array_agg(payload ->> 'page' order by occurred_at) filter (where type = 'page_view'))[1],
            (array_agg(payload ->> 'page' order by occurred_at desc) filter (where type = 'page_view'))[1],
            count(*) filter (where type = 'page_view') <= 1
        from numbered group by user_id, session
    """,
    "login_audit": f"""
        select event_id, occurred_at, user_id, type, payload ->> 'ip', payload ->> 'device', '{{}}'::text[] {_RAW}
        and type in ('login', 'logout')
    """,
    "logins_hourly": f"""
        select {_HOUR}, count(*) filter (where type = 'login'), count(*) filter (where type = 'logout'),
        count(distinct user_id), count(distinct payload ->> 'ip'), 0 {_RAW} and type in ('login', 'logout') group by 1
    """,
    "user_days": f"""
        select user_id, {_DAY}, count(*), count(*) filter (where type = 'login'), {_BY_TYPE},
        min(occurred_at), max(occurred_at), 0 {_RAW} group by 1, 2
    """,
    "user_profiles": f"""
        select user_id, min(occurred_at), max(occurred_at), count(*), count(*) filter (where type = 'login'),
        {_BY_TYPE}, 0,
        mode() within group (order by payload ->> 'device'), mode() within group (order by payload ->> 'ip')
        {_RAW} group by 1
    """,
    "active_users_daily": f"select {_DAY}, count(distinct user_id), 0, 0, 0, 0, 0 {_RAW} group by 1",
    "retention_weekly": f"""
        with weeks as (select user_id, {_WEEK} as week {_RAW} group by 1, 2),
        cohorts as (select user_id, min(week) as cohort from weeks group by 1)
        select cohort, week, 0, count(*) from weeks join cohorts using (user_id) group by 1, 2
    """,
    "funnel_daily": f"""
        select {_DAY}, 1, 'viewed', count(distinct user_id) {_RAW} and type = 'page_view' group by 1
    """,
}


def plain_seconds(connection: Connection, bounds: Mapping[str, datetime]) -> dict[str, float]:
    """Seconds of each plain statement over a range, into an empty table with the same columns, keys and indexes."""
    connection.execute(_SESSION)
    return {name: _seconds(connection, name, bounds) for name in PLAIN}


def _seconds(connection: Connection, name: str, bounds: Mapping[str, datetime]) -> float:
    table = AGGREGATES[name].table
    connection.execute(f"create table public.plain (like {table} including all)".encode())
    began = time.perf_counter()
    connection.execute(f"insert into public.plain {PLAIN[name]}".encode(), bounds)
    took = time.perf_counter() - began
    connection.execute("drop table public.plain")
    return took
