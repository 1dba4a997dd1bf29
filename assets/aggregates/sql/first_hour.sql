-- The hour that partitions begin with: back from the newest event, day by day, each one look into the index. A long
-- pause ends it: what lies before is a clock that was wrong, or history that nobody watches by the hour.
with recursive bounds as (
    select
        %(pause)s::interval as pause,
        %(earliest)s::timestamptz as earliest
),

found as (
    select max(m.minute) as minute
    from analytics.events_minutely as m
    union all
    select
        (
            select max(m.minute)
            from analytics.events_minutely as m
            where
                m.minute < date_trunc('day', f.minute, 'UTC')
                and m.minute >= date_trunc('day', f.minute, 'UTC') - b.pause
                and m.minute >= b.earliest
        ) as minute
    from found as f
    cross join bounds as b
    where f.minute is not null
),

oldest as (
    select greatest(date_trunc('day', min(f.minute), 'UTC'), min(b.earliest)) as day
    from found as f
    inner join bounds as b on f.minute >= b.earliest
)

select date_trunc('hour', min(m.minute), 'UTC') as hour
from analytics.events_minutely as m
where m.minute >= (select o.day from oldest as o)
