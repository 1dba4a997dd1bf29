-- Hours in which a login or logout that raw.events holds has no row in login_audit, apart from as many as wait, or a row
-- has no such event.
with stored as (
    select
        e.occurred_at,
        e.event_id,
        e.user_id,
        e.type
    from raw.events as e
    where e.occurred_at >= %(low)s and e.occurred_at < %(high)s and e.type in ('login', 'logout')
),

kept as (
    select
        a.occurred_at,
        a.event_id,
        a.user_id,
        a.action
    from analytics.login_audit as a
    where a.occurred_at >= %(low)s and a.occurred_at < %(high)s
),

compared as (
    select
        date_trunc('hour', coalesce(stored.occurred_at, kept.occurred_at), 'UTC') as hour,
        count(stored.event_id) as events,
        count(*) filter (where kept.event_id is null) as missing,
        count(*) filter (
            where stored.event_id is null or (stored.user_id, stored.type) <> (kept.user_id, kept.action)
        ) as unfounded
    from stored
    full join kept on stored.occurred_at = kept.occurred_at and stored.event_id = kept.event_id
    group by 1
),

waiting as (
    select
        d.hour,
        sum(d.events) as events
    from ops.dirty_buckets as d
    where
        d.hour >= %(low)s and d.hour < %(high)s
        and not exists (
            select 1 from ops.taken_marks as t
            where t.consumer = 'security' and t.mark_id = d.mark_id
        )
    group by 1
)

select
    coalesce(sum(compared.events), 0)::bigint as events,
    count(*) filter (where compared.unfounded > 0 or compared.missing > coalesce(waiting.events, 0)) as wrong,
    min(compared.hour) filter (
        where compared.unfounded > 0 or compared.missing > coalesce(waiting.events, 0)
    ) as first_wrong
from compared
left join waiting on compared.hour = waiting.hour
