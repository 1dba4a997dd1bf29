-- Of those who took the first step, how many took each later one.
select f.day as time, f.name as metric, f.users::double precision / nullif(first.users, 0) as share
from analytics.funnel_daily as f
inner join analytics.funnel_daily as first on f.day = first.day and first.step = 1
where $__timeFilter(f.day) and f.step > 1
order by f.day, f.step
