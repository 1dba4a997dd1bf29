-- Facts of analytics.forms_hourly: submits.
select
    e.hour,
    e.user_id,
    e.payload ->> 'formId' as form_id
from events as e
where e.type = 'form_submit'
