-- Days that have events or rows of any aggregate. The session's time zone is UTC.
select (b.low at time zone 'UTC')::date as day
from generate_series(%(first)s::date::timestamptz, %(last)s::date::timestamptz, interval '1 day') as b (low)
where
    exists (
        select 1 from raw.events as t
        where t.occurred_at >= b.low and t.occurred_at < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.events_minutely as t
        where t.minute >= b.low and t.minute < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.events_hourly as t
        where t.hour >= b.low and t.hour < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.pages_hourly as t
        where t.hour >= b.low and t.hour < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.referrers_hourly as t
        where t.hour >= b.low and t.hour < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.buttons_hourly as t
        where t.hour >= b.low and t.hour < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.forms_hourly as t
        where t.hour >= b.low and t.hour < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.logins_hourly as t
        where t.hour >= b.low and t.hour < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.login_audit as t
        where t.occurred_at >= b.low and t.occurred_at < b.low + interval '1 day'
    )
    or exists (
        select 1 from analytics.sessions as t
        where t.started_at >= b.low and t.started_at < b.low + interval '1 day'
    )
    or exists (
        select 1 from ops.user_days as t
        where t.day = (b.low at time zone 'UTC')::date
    )
order by b.low
