-- Facts of analytics.referrers_hourly: page views; direct traffic has an empty referrer, null or none.
select
    e.hour,
    e.user_id,
    coalesce(e.payload ->> 'referrer', '') as referrer
from events as e
where e.type = 'page_view'
