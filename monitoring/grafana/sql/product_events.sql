select $__timeGroupAlias(hour, $__interval), type as metric, sum(events) as events
from analytics.events_hourly
where $__timeFilter(hour) and type in (${type:sqlstring})
group by 1, 2
order by 1, 2
