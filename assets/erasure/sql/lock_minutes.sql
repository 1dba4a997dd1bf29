-- In the order of the key, as the ingest does.
with changed as (
    select distinct
        g.type,
        date_trunc('minute', g.occurred_at, 'UTC') as minute
    from gone as g
    where g.occurred_at >= %(frontier)s
)

select 1
from analytics.events_minutely as m
inner join changed as t on m.minute = t.minute and m.type = t.type
order by m.minute, m.type
for update of m
