select
    address,
    count(distinct user_id) as users,
    count(*) filter (where action = 'login') as logins,
    count(*) filter (where cardinality(flags) > 0) as flagged,
    min(occurred_at) as "first seen",
    max(occurred_at) as "last seen"
from analytics.login_audit
where $__timeFilter(occurred_at) and address is not null
group by address
order by users desc, logins desc, address
limit 20
