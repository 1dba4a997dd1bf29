-- Hours whose counts are not what raw.events holds without the events of the marks that wait. A mark does not say which
-- types it stands for: by type nothing may be counted that is not stored, in sum exactly the waiting may be missing.
with stored as (
    select
        e.type,
        date_trunc('hour', e.occurred_at, 'UTC') as hour,
        count(*) as events
    from raw.events as e
    where e.occurred_at >= %(low)s and e.occurred_at < %(high)s
    group by 1, 2
),

kept as (
    select
        h.hour,
        h.type,
        h.events
    from analytics.events_hourly as h
    where h.hour >= %(low)s and h.hour < %(high)s
),

missing as (
    select
        coalesce(stored.hour, kept.hour) as hour,
        coalesce(sum(stored.events), 0) as events,
        sum(coalesce(stored.events, 0) - coalesce(kept.events, 0)) as missing,
        min(coalesce(stored.events, 0) - coalesce(kept.events, 0)) as least
    from stored
    full join kept on stored.hour = kept.hour and stored.type = kept.type
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
            where t.consumer = 'hourly' and t.mark_id = d.mark_id
        )
    group by 1
)

select
    coalesce(sum(missing.events), 0)::bigint as events,
    count(*) filter (where missing.least < 0 or missing.missing <> coalesce(waiting.events, 0)) as wrong,
    min(missing.hour) filter (
        where missing.least < 0 or missing.missing <> coalesce(waiting.events, 0)
    ) as first_wrong
from missing
left join waiting on missing.hour = waiting.hour
