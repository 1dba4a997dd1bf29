-- Facts of analytics.pages_hourly: page views.
select
    e.hour,
    e.user_id,
    e.payload ->> 'page' as page
from events as e
where e.type = 'page_view'
