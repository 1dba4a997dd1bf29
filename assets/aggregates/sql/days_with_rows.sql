-- Days that have events or rows of any aggregate: from each day the step to the next, one look into the index of each
-- table, so that years without rows cost nothing. The session's time zone is UTC.
with recursive found (low) as (
    select %(first)s::date::timestamptz - interval '1 day' as low
    union all
    select (
        select date_trunc('day', min(n.at), 'UTC') as low
        from (
            (
                select t.occurred_at as at from raw.events as t
                where t.occurred_at >= f.low + interval '1 day'
                order by t.occurred_at limit 1
            )
            union all
            (
                select t.minute as at from analytics.events_minutely as t
                where t.minute >= f.low + interval '1 day'
                order by t.minute limit 1
            )
            union all
            (
                select t.hour as at from analytics.events_hourly as t
                where t.hour >= f.low + interval '1 day'
                order by t.hour limit 1
            )
            union all
            (
                select t.hour as at from analytics.pages_hourly as t
                where t.hour >= f.low + interval '1 day'
                order by t.hour limit 1
            )
            union all
            (
                select t.hour as at from analytics.referrers_hourly as t
                where t.hour >= f.low + interval '1 day'
                order by t.hour limit 1
            )
            union all
            (
                select t.hour as at from analytics.buttons_hourly as t
                where t.hour >= f.low + interval '1 day'
                order by t.hour limit 1
            )
            union all
            (
                select t.hour as at from analytics.forms_hourly as t
                where t.hour >= f.low + interval '1 day'
                order by t.hour limit 1
            )
            union all
            (
                select t.hour as at from analytics.logins_hourly as t
                where t.hour >= f.low + interval '1 day'
                order by t.hour limit 1
            )
            union all
            (
                select t.occurred_at as at from analytics.login_audit as t
                where t.occurred_at >= f.low + interval '1 day'
                order by t.occurred_at limit 1
            )
            union all
            (
                select t.started_at as at from analytics.sessions as t
                where t.started_at >= f.low + interval '1 day'
                order by t.started_at limit 1
            )
            union all
            (
                select t.day::timestamptz as at from ops.user_days as t
                where t.day > (f.low at time zone 'UTC')::date
                order by t.day limit 1
            )
        ) as n
    ) as low
    from found as f
    where f.low < %(last)s::date::timestamptz
)

select (f.low at time zone 'UTC')::date as day
from found as f
where f.low >= %(first)s::date::timestamptz and f.low <= %(last)s::date::timestamptz
order by f.low
