select minute as time, type as metric, events
from analytics.events_minutely
where $__timeFilter(minute) and type in (${type:sqlstring})
order by minute, type
