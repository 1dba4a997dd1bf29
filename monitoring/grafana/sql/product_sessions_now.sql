select
    count(*) as sessions,
    avg(bounced::int) filter (where page_views > 0) as "bounce rate",
    percentile_cont(0.5) within group (order by extract(epoch from ended_at - started_at)) as "median length",
    avg(page_views) as "pages a session"
from analytics.sessions
where $__timeFilter(started_at)
