-- Facts of analytics.buttons_hourly: clicks.
select
    e.hour,
    e.user_id,
    e.payload ->> 'buttonId' as button_id,
    e.payload ->> 'page' as page
from events as e
where e.type = 'button_click'
