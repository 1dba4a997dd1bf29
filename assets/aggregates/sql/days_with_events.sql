-- The days that have events, those behind the frontier of retention left out. Each is one look into the index, from
-- the first event of a day to the first one after it: the cost is that of the days, however many events they hold.
with recursive found as (
    select min(m.minute) as minute
    from analytics.events_minutely as m
    where m.minute >= coalesce((select f.frontier from ops.retention_frontier as f), '-infinity')
    union all
    select
        (
            select min(m.minute) from analytics.events_minutely as m
            where m.minute >= date_trunc('day', f.minute, 'UTC') + interval '1 day'
        ) as minute
    from found as f
    where f.minute is not null
)

select (found.minute at time zone 'UTC')::date as day
from found
where found.minute is not null
order by found.minute
