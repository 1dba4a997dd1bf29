-- The next dead letters of a choice, and how many bytes each holds.
select
    d.dead_letter_id,
    coalesce(octet_length(d.value), 0) + coalesce(octet_length(d.key), 0) as bytes
from raw.dead_letters as d
where
    d.dead_letter_id > %(after)s
    and d.dead_letter_id <= %(last)s
    and d.status = any(%(statuses)s)
    and (%(ids)s::bigint[] is null or d.dead_letter_id = any(%(ids)s))
    and (%(codes)s::text[] is null or d.code = any(%(codes)s))
    and (%(topic)s::text is null or d.topic = %(topic)s)
    and (%(key)s::bytea is null or d.key = %(key)s)
    and (%(event)s::text is null or encode(d.value, 'escape') ~ %(event)s)
    and (%(since)s::timestamptz is null or d.first_seen_at >= %(since)s)
    and (%(until)s::timestamptz is null or d.first_seen_at < %(until)s)
order by d.dead_letter_id
limit %(most)s
