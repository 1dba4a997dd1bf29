-- Where the events of marks are, of all marks on the hours that are taken, whether they are taken themselves or not.
insert into spans (taken, hour, topic_id, partition, offsets)
select
    t.mark_id is not null as is_taken,
    m.hour,
    r.topic_id,
    r.partition,
    range_agg(int8range(r.start_offset, r.end_offset)) as offsets
from ops.dirty_buckets as m
inner join ops.batch_ranges as r on m.batch_id = r.batch_id
left join taken as t on m.mark_id = t.mark_id
where m.hour in (select x.hour from taken as x)
group by is_taken, m.hour, r.topic_id, r.partition;

insert into listed (taken, hour, event_id)
select
    t.mark_id is not null as is_taken,
    m.hour,
    unnest(m.event_ids) as event_id
from ops.dirty_buckets as m
left join taken as t on m.mark_id = t.mark_id
where m.event_ids is not null and m.hour in (select x.hour from taken as x);
