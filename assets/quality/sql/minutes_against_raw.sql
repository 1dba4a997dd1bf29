-- Minutes and types whose count is not what raw.events holds: how many were compared, how many are wrong, the first.
with stored as (
    select
        e.type,
        date_trunc('minute', e.occurred_at, 'UTC') as minute,
        count(*) as events
    from raw.events as e
    where e.occurred_at >= %(low)s and e.occurred_at < %(high)s
    group by 1, 2
),

kept as (
    select
        m.minute,
        m.type,
        m.events
    from analytics.events_minutely as m
    where m.minute >= %(low)s and m.minute < %(high)s
)

select
    coalesce(sum(stored.events), 0)::bigint as events,
    count(*) filter (where coalesce(stored.events, 0) <> coalesce(kept.events, 0)) as wrong,
    min(coalesce(stored.minute, kept.minute)) filter (
        where coalesce(stored.events, 0) <> coalesce(kept.events, 0)
    ) as first_wrong
from stored
full join kept on stored.minute = kept.minute and stored.type = kept.type
