-- The newest dead letters of a choice with their reasons, which may quote a value; no key, no value, no headers.
select
    d.dead_letter_id,
    d.topic,
    d.partition,
    d.kafka_offset,
    d.code,
    d.status,
    d.attempts,
    d.first_seen_at,
    d.last_attempt_at,
    d.reason
from raw.dead_letters as d
where
    d.status = any(%(statuses)s)
    and (%(codes)s::text[] is null or d.code = any(%(codes)s))
    and (%(topic)s::text is null or d.topic = %(topic)s)
    and (%(key)s::bytea is null or d.key = %(key)s)
    and (%(event)s::text is null or encode(d.value, 'escape') ~ %(event)s)
    and (%(since)s::timestamptz is null or d.first_seen_at >= %(since)s)
    and (%(until)s::timestamptz is null or d.first_seen_at < %(until)s)
order by d.first_seen_at desc, d.dead_letter_id desc
limit %(most)s
