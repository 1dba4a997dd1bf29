select
    date_trunc('day', started_at) as time,
    percentile_cont(0.5) within group (order by extract(epoch from ended_at - started_at)) as median,
    percentile_cont(0.9) within group (order by extract(epoch from ended_at - started_at)) as p90
from analytics.sessions
where $__timeFilter(started_at)
group by 1
order by 1
