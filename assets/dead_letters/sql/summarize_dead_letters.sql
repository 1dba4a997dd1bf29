-- By code and declared field. A reason may name a key that a producer has made up: the group ends before it.
select
    d.code,
    substring(d.reason from %(place)s) as path,
    count(*) as dead_letters,
    max(d.dead_letter_id) as example,
    min(d.first_seen_at) as first,
    max(d.first_seen_at) as last
from raw.dead_letters as d
where
    d.status = any(%(statuses)s)
    and (%(codes)s::text[] is null or d.code = any(%(codes)s))
    and (%(topic)s::text is null or d.topic = %(topic)s)
    and (%(key)s::bytea is null or d.key = %(key)s)
    and (%(event)s::text is null or encode(d.value, 'escape') ~ %(event)s)
    and (%(since)s::timestamptz is null or d.first_seen_at >= %(since)s)
    and (%(until)s::timestamptz is null or d.first_seen_at < %(until)s)
group by d.code, path
order by count(*) desc, d.code asc, path asc
