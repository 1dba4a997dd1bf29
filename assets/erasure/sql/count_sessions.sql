select
    s.user_id,
    count(*) as sessions
from analytics.sessions as s
where s.user_id = any(%(users)s::text[])
group by s.user_id
