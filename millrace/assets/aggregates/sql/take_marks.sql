-- Marks to take in, at most so many events (but one mark at least), either the newest hours first or as they came.
insert into taken (mark_id, hour, low, high, batch_id, event_ids)
select
    m.mark_id,
    m.hour,
    m.low,
    m.high,
    m.batch_id,
    m.event_ids
from (
    select
        d.*,
        sum(d.events) over (
            order by case when %(newest_first)s then d.hour end desc nulls last, d.mark_id
        ) - d.events as before
    from ops.dirty_buckets as d
    where %(days)s::date[] is null or (d.hour at time zone 'UTC')::date = any(%(days)s::date[])
) as m
where m.before = 0 or m.before + m.events <= %(most)s
