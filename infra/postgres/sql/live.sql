with latest as (
    select
        known.type,
        (
            select max(m.minute) from analytics.events_minutely as m
            where m.type = known.type
        ) as minute
    from unnest(%(types)s::text[]) as known (type)
),

counted as (
    select
        m.type,
        sum(m.events) filter (where m.minute = date_trunc('minute', now())) as running,
        sum(m.events) filter (where m.minute = date_trunc('minute', now()) - interval '1 minute') as last_1,
        sum(m.events) filter (
            where m.minute >= date_trunc('minute', now()) - interval '5 minutes'
            and m.minute < date_trunc('minute', now())
        ) as last_5,
        sum(m.events) filter (where m.minute < date_trunc('minute', now())) as last_60
    from analytics.events_minutely as m
    where
        m.minute >= date_trunc('minute', now()) - interval '60 minutes'
        and m.minute <= date_trunc('minute', now())
    group by m.type
)

select
    latest.type,
    latest.minute as last_event_minute,
    case
        when latest.minute > now() then 0 else floor(extract(epoch from now() - latest.minute))
    end::bigint as seconds_since,
    coalesce(counted.running, 0)::bigint as running_minute,
    coalesce(counted.last_1, 0)::bigint as last_minute,
    coalesce(counted.last_5, 0)::bigint as last_5_minutes,
    coalesce(counted.last_60, 0)::bigint as last_60_minutes,
    round(coalesce(counted.last_5, 0) / 300, 2) as per_second
from latest
left join counted on latest.type = counted.type
