select
    d.code,
    count(*) as letters,
    min(d.first_seen_at) as first,
    max(d.first_seen_at) as last
from raw.dead_letters as d
where
    d.status = any(%(statuses)s)
    and (%(codes)s::text[] is null or d.code = any(%(codes)s))
    and (%(topic)s::text is null or d.topic = %(topic)s)
    and (%(since)s::timestamptz is null or d.first_seen_at >= %(since)s)
    and (%(until)s::timestamptz is null or d.first_seen_at < %(until)s)
group by d.code
order by count(*) desc, d.code
