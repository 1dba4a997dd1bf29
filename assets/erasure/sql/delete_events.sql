with users as (
    select
        unnest(%(user_ids)s::text[]) as user_id,
        unnest(%(keys)s::bytea[]) as user_hash
),

deleted as (
    delete from raw.events as e
    using users as u, ops.erasures as x
    where
        e.user_id = any(%(user_ids)s::text[])
        and e.user_id = u.user_id
        and x.user_hash = u.user_hash
        and x.topic_id = e.kafka_topic_id
        and x.partition = e.kafka_partition
        and x.up_to_offset > e.kafka_offset
    returning e.*
),

counted as (
    insert into lost (topic_id, partition, kafka_offset, outcome)
    select
        d.kafka_topic_id,
        d.kafka_partition,
        d.kafka_offset,
        'stored' as outcome
    from deleted as d
)

insert into gone (event_id, occurred_at, hour, day, type, user_id, payload)
select
    d.event_id,
    d.occurred_at,
    date_trunc('hour', d.occurred_at, 'UTC') as hour,
    (d.occurred_at at time zone 'UTC')::date as day,
    d.type,
    d.user_id,
    d.payload
from deleted as d
