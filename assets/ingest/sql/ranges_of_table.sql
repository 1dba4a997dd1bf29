-- The same for all rows of a partition: to look each up in the index would take a hundred times as long.
insert into lost_ranges (topic_id, partition, start_offset, end_offset, stored, dead_letters)
with bounds as (
    select
        e.kafka_topic_id as topic_id,
        e.kafka_partition as part,
        min(e.kafka_offset) as low,
        max(e.kafka_offset) as high
    from raw.events as e
    group by e.kafka_topic_id, e.kafka_partition
),

places as (
    select
        x.topic_id,
        x.part,
        array_agg(x.start_offset order by x.start_offset) as starts,
        array_agg(x.end_offset order by x.start_offset) as ends
    from (
        select distinct
            a.topic_id,
            a.part,
            r.start_offset,
            r.end_offset
        from bounds as a
        inner join ops.batch_ranges as r
            on a.topic_id = r.topic_id and a.part = r.partition and a.low < r.end_offset and a.high >= r.start_offset
        inner join ops.batches as b on r.batch_id = b.batch_id
        where b.kind in ('ingest', 'closed') and r.start_offset < r.end_offset
    ) as x
    group by x.topic_id, x.part
),

found as (
    select
        p.topic_id,
        p.part,
        p.starts[width_bucket(e.kafka_offset, p.starts)] as start_offset,
        p.ends[width_bucket(e.kafka_offset, p.starts)] as end_offset,
        count(*) as stored
    from raw.events as e
    inner join places as p on e.kafka_topic_id = p.topic_id and e.kafka_partition = p.part
    where e.kafka_offset < p.ends[width_bucket(e.kafka_offset, p.starts)]
    group by p.topic_id, p.part, start_offset, end_offset
)

select
    f.topic_id,
    f.part,
    f.start_offset,
    f.end_offset,
    f.stored,
    0 as dead_letters
from found as f
