-- The dead letters of a choice: what the statements that count, list, summarize and walk through them read as `chosen`.
select
    d.dead_letter_id,
    d.topic,
    d.partition,
    d.kafka_offset,
    d.key,
    d.value,
    d.code,
    d.reason,
    d.status,
    d.attempts,
    d.first_seen_at,
    d.last_attempt_at
from raw.dead_letters as d
where
    d.status = any(%(statuses)s)
    and (%(ids)s::bigint[] is null or d.dead_letter_id = any(%(ids)s))
    and (%(codes)s::text[] is null or d.code = any(%(codes)s))
    and (%(topic)s::text is null or d.topic = %(topic)s)
    and (%(key)s::bytea is null or d.key = %(key)s)
    and (%(event)s::text is null or encode(d.value, 'escape') ~ %(event)s)
    and (%(since)s::timestamptz is null or d.first_seen_at >= %(since)s)
    and (%(until)s::timestamptz is null or d.first_seen_at < %(until)s)
