select $__timeGroupAlias(hour, $__interval), sum(flagged)::double precision / nullif(sum(logins + logouts), 0) as flagged
from analytics.logins_hourly
where $__timeFilter(hour)
group by 1
order by 1
