select
    date_trunc('day', started_at) as time,
    count(*) filter (where not bounced) as engaged,
    count(*) filter (where bounced) as bounced
from analytics.sessions
where $__timeFilter(started_at) and page_views > 0
group by 1
order by 1
