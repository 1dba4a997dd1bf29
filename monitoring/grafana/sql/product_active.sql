select day as time, dau, wau, mau
from analytics.active_users_daily
where $__timeFilter(day)
order by day
