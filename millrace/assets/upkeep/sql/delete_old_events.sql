with deleted as (
    delete from raw.events_old
    where
        ctid = any(array(
            select o.ctid from raw.events_old as o
            where o.occurred_at < %(frontier)s
            order by o.occurred_at
            limit %(most)s
        ))
    returning kafka_topic_id, kafka_partition, kafka_offset
)

insert into lost (topic_id, partition, kafka_offset, outcome)
select
    d.kafka_topic_id,
    d.kafka_partition,
    d.kafka_offset,
    'stored' as outcome
from deleted as d
