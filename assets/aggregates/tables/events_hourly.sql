-- Facts of analytics.events_hourly: every event.
select
    e.hour,
    e.type,
    e.user_id
from events as e
