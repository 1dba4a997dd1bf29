select entry_page as page, count(*) as sessions, avg(bounced::int) as "bounce rate"
from analytics.sessions
where $__timeFilter(started_at) and entry_page is not null
group by entry_page
order by sessions desc, page
limit 10
