-- How many of them are new, by code: those at their first attempt. One that was resolved is open again.
with written as (
    insert into raw.dead_letters as d (
        topic, topic_id, partition, kafka_offset, key, value, header_names, header_values, kafka_timestamp, code, reason, run_id
    )
    select
        s.topic,
        s.topic_id,
        s.partition,
        s.kafka_offset,
        s.key,
        s.value,
        s.header_names,
        s.header_values,
        s.kafka_timestamp,
        s.code,
        s.reason,
        s.run_id
    from staged_dead_letters as s
    order by s.topic_id, s.partition, s.kafka_offset
    on conflict (topic_id, partition, kafka_offset) do update
        set
            code = excluded.code,
            reason = excluded.reason,
            run_id = excluded.run_id,
            status = case d.status when 'resolved' then 'open' else d.status end,
            attempts = d.attempts + 1,
            last_attempt_at = now()
    returning d.code, d.attempts
)

select
    w.code,
    count(*) as dead_letters
from written as w
where w.attempts = 1
group by w.code
