select
    ip as address,
    count(distinct user_id) as users,
    count(*) filter (where action = 'login') as logins,
    count(*) filter (where cardinality(flags) > 0) as flagged,
    min(occurred_at) as "first seen",
    max(occurred_at) as "last seen"
from analytics.login_audit
where $__timeFilter(occurred_at) and ip is not null
group by ip
order by users desc, logins desc, ip
limit 20
