select coalesce(sum(new_users), 0) as "new users"
from analytics.active_users_daily
where $__timeFilter(day)
