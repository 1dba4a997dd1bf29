select $__timeGroupAlias(hour, $__interval), sum(logins) as logins, sum(logouts) as logouts
from analytics.logins_hourly
where $__timeFilter(hour)
group by 1
order by 1
