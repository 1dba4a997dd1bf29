select page, sum(views) as views
from analytics.pages_hourly
where $__timeFilter(hour)
group by page
order by views desc, page
limit 10
