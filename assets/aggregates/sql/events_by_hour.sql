select
    date_trunc('hour', m.minute, 'UTC') as hour,
    sum(m.events)::bigint as events
from analytics.events_minutely as m
where m.minute >= %(low)s and m.minute < %(high)s
group by 1
order by 1
