-- Days whose events, summed over ops.user_days, are not those that events_minutely counts, without those that wait.
with days as (
    select
        (%(low)s at time zone 'UTC')::date as first,
        ((%(high)s - interval '1 microsecond') at time zone 'UTC')::date as last
),

stored as (
    select
        (m.minute at time zone 'UTC')::date as day,
        sum(m.events) as events
    from analytics.events_minutely as m
    inner join days as d
        on
            m.minute >= d.first::timestamp at time zone 'UTC'
            and m.minute < (d.last + 1)::timestamp at time zone 'UTC'
    group by 1
),

kept as (
    select
        u.day,
        sum(u.events) as events
    from ops.user_days as u
    inner join days as d on u.day between d.first and d.last
    group by 1
),

waiting as (
    select
        (b.hour at time zone 'UTC')::date as day,
        sum(b.events) as events
    from ops.dirty_buckets as b
    inner join days as d
        on
            b.hour >= d.first::timestamp at time zone 'UTC'
            and b.hour < (d.last + 1)::timestamp at time zone 'UTC'
    where
        not exists (
            select 1 from ops.taken_marks as t
            where t.consumer = 'users' and t.mark_id = b.mark_id
        )
    group by 1
),

compared as (
    select
        coalesce(stored.day, kept.day) as day,
        coalesce(stored.events, 0) as events,
        coalesce(stored.events, 0) - coalesce(kept.events, 0) - coalesce(waiting.events, 0) as missing
    from stored
    full join kept on stored.day = kept.day
    left join waiting on coalesce(stored.day, kept.day) = waiting.day
)

select
    coalesce(sum(events), 0)::bigint as events,
    count(*) filter (where missing <> 0) as wrong,
    min(day) filter (where missing <> 0) as first_wrong
from compared
