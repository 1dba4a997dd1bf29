select button_id as button, page, sum(clicks) as clicks
from analytics.buttons_hourly
where $__timeFilter(hour)
group by button_id, page
order by clicks desc, button_id, page
limit 10
