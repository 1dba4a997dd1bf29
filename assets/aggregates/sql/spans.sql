-- Where the events of marks are, of all marks on the hours that are taken that waited for the group, whether they are taken
-- now or not. What the group has taken before is read once (`not in`), not for each hour.
insert into spans (taken, hour, topic_id, partition, offsets)
with taken_before as materialized (
    select k.mark_id from ops.taken_marks as k
    where k.consumer = %(group)s
),

here as materialized (
    select
        m.mark_id,
        x.hour,
        m.batch_id
    from (select distinct t.hour from taken as t) as x
    cross join
        lateral (
            select
                d.mark_id,
                d.batch_id
            from ops.dirty_buckets as d
            where
                d.hour = x.hour and d.batch_id is not null
                and d.mark_id not in (select k.mark_id from taken_before as k)
            offset 0  -- noqa: AM09
        ) as m
)

select
    t.mark_id is not null as is_taken,
    m.hour,
    r.topic_id,
    r.partition,
    range_agg(int8range(r.start_offset, r.end_offset)) as offsets
from here as m
cross join
    lateral (
        select
            b.topic_id,
            b.partition,
            b.start_offset,
            b.end_offset
        from ops.batch_ranges as b
        where b.batch_id = m.batch_id
        offset 0  -- noqa: AM09
    ) as r
left join taken as t on m.mark_id = t.mark_id
group by is_taken, m.hour, r.topic_id, r.partition;

insert into listed (taken, hour, event_id)
with taken_before as materialized (
    select k.mark_id from ops.taken_marks as k
    where k.consumer = %(group)s
)

select
    t.mark_id is not null as is_taken,
    x.hour,
    unnest(m.event_ids) as event_id
from (select distinct y.hour from taken as y) as x
cross join
    lateral (
        select
            d.mark_id,
            d.event_ids
        from ops.dirty_buckets as d
        where
            d.hour = x.hour and d.event_ids is not null
            and d.mark_id not in (select k.mark_id from taken_before as k)
        offset 0  -- noqa: AM09
    ) as m
left join taken as t on m.mark_id = t.mark_id;
