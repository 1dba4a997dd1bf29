-- The day that runs is not over: its active users are still too few.
select day as time, stickiness
from analytics.active_users_daily
where $__timeFilter(day) and day < current_date
order by day
