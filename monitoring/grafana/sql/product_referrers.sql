select case when referrer = '' then '(direct)' else referrer end as referrer, sum(views) as views
from analytics.referrers_hourly
where $__timeFilter(hour)
group by 1
order by views desc, 1
limit 10
