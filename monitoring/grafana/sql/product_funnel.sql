select step || '. ' || name as step, sum(users) as users
from analytics.funnel_daily
where $__timeFilter(day)
group by funnel_daily.step, name
order by funnel_daily.step
