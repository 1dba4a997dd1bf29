select
    user_id as "user",
    count(distinct ip) as addresses,
    count(distinct device) as devices,
    count(*) filter (where action = 'login') as logins,
    count(*) filter (where cardinality(flags) > 0) as flagged,
    max(occurred_at) as "last seen"
from analytics.login_audit
where $__timeFilter(occurred_at)
group by user_id
order by addresses desc, logins desc, user_id
limit 20
