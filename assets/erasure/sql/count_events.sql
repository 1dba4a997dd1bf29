select
    e.user_id,
    count(*) as events
from raw.events as e
where e.user_id = any(%(users)s::text[])
group by e.user_id
