with less as (
    select
        g.type,
        date_trunc('minute', g.occurred_at, 'UTC') as minute,
        count(*) as events
    from gone as g
    where g.occurred_at >= %(frontier)s
    group by date_trunc('minute', g.occurred_at, 'UTC'), g.type
),

emptied as (
    delete from analytics.events_minutely as m
    using less as l
    where m.minute = l.minute and m.type = l.type and m.events <= l.events
)

update analytics.events_minutely as m
set events = m.events - l.events
from less as l
where m.minute = l.minute and m.type = l.type and m.events > l.events
