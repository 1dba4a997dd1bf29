select $__timeGroupAlias(hour, '1d'), form_id as metric, sum(submits) as submits
from analytics.forms_hourly
where $__timeFilter(hour)
group by 1, 2
order by 1, 2
