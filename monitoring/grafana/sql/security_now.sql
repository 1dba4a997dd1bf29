select
    coalesce(sum(logins), 0) as logins,
    coalesce(sum(logouts), 0) as logouts,
    coalesce(sum(flagged), 0) as flagged
from analytics.logins_hourly
where $__timeFilter(hour)
