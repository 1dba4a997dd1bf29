-- How many of each type.
with deleted as (
    delete from raw.events_old
    where
        ctid = any(array(
            select o.ctid from raw.events_old as o
            where o.occurred_at < %(frontier)s
            order by o.occurred_at
            limit %(most)s
        ))
    returning type, kafka_topic_id, kafka_partition, kafka_offset
),

recorded as (
    insert into lost (topic_id, partition, kafka_offset, outcome)
    select
        d.kafka_topic_id,
        d.kafka_partition,
        d.kafka_offset,
        'stored' as outcome
    from deleted as d
)

select
    d.type,
    count(*) as events
from deleted as d
group by d.type
