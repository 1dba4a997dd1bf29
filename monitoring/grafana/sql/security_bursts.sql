select
    user_id as "user",
    ip as address,
    count(*) as logins,
    min(occurred_at) as "from",
    max(occurred_at) as "until"
from analytics.login_audit
where $__timeFilter(occurred_at) and flags @> array['burst']
group by user_id, ip, date_trunc('hour', occurred_at)
order by "until" desc, user_id, ip
limit 50
