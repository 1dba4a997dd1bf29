select hour as time, users, addresses
from analytics.logins_hourly
where $__timeFilter(hour)
order by hour
