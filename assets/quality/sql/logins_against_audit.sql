-- Hours whose logins and logouts are not the rows of login_audit: both are written in one transaction.
with stored as (
    select
        date_trunc('hour', a.occurred_at, 'UTC') as hour,
        count(*) as events
    from analytics.login_audit as a
    where a.occurred_at >= %(low)s and a.occurred_at < %(high)s
    group by 1
),

kept as (
    select
        h.hour,
        h.logins + h.logouts as events
    from analytics.logins_hourly as h
    where h.hour >= %(low)s and h.hour < %(high)s
)

select
    coalesce(sum(stored.events), 0)::bigint as events,
    count(*) filter (where coalesce(stored.events, 0) <> coalesce(kept.events, 0)) as wrong,
    min(coalesce(stored.hour, kept.hour)) filter (
        where coalesce(stored.events, 0) <> coalesce(kept.events, 0)
    ) as first_wrong
from stored
full join kept on stored.hour = kept.hour
