-- Marks to take in, the newest hours first or as they came: at most so many marks, so many events (but one mark at
-- least) and so many hours. Only marks that may be taken are looked at, however many wait.
insert into taken (mark_id, hour, low, high, events, batch_id, event_ids, windows)
select
    m.mark_id,
    m.hour,
    m.low,
    m.high,
    m.events,
    m.batch_id,
    m.event_ids,
    m.windows
from (
    select
        n.*,
        sum(n.events) over in_order - n.events as before,
        count(*) filter (where n.nth_of_hour = 1) over in_order as hours
    from (
        select
            d.*,
            row_number() over (partition by d.hour order by d.mark_id) as nth_of_hour
        from (
            select w.*
            from ops.dirty_buckets as w
            -- which
        ) as d
    ) as n
    window in_order as (order by case when %(newest_first)s then n.hour end desc nulls last, n.mark_id)
) as m
where m.before = 0 or m.before + m.events <= %(events)s and m.hours <= %(hours)s
