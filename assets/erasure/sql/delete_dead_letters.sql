with deleted as (
    delete from raw.dead_letters as d
    using ops.erasures as x
    where
        d.dead_letter_id = any(%(dead_letters)s::bigint[])
        and x.user_hash = %(hashed)s
        and x.topic_id = d.topic_id
        and x.partition = d.partition
        and x.up_to_offset > d.kafka_offset
    returning d.topic_id, d.partition, d.kafka_offset, d.status
),

counted as (
    insert into lost (topic_id, partition, kafka_offset, outcome)
    select
        d.topic_id,
        d.partition,
        d.kafka_offset,
        'dead_letters' as outcome
    from deleted as d
    where d.status <> 'resolved'  -- a resolved dead letter's record is recorded as stored, or as a duplicate
)

select count(*) from deleted
