select day as time, new_users as new, returning_users as returning
from analytics.active_users_daily
where $__timeFilter(day)
order by day
