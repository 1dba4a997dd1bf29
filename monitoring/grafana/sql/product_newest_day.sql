select dau as "day", wau as "7 days", mau as "28 days"
from analytics.active_users_daily
where $__timeFilter(day) and day < current_date
order by day desc
limit 1
