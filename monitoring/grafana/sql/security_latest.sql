select
    occurred_at as "time",
    user_id as "user",
    action,
    ip as address,
    device,
    array_to_string(flags, ', ') as flags
from analytics.login_audit
where
    $__timeFilter(occurred_at) and cardinality(flags) > 0
    and (${user:sqlstring} = '' or user_id = ${user:sqlstring})
    and (${address:sqlstring} = '' or ip = ${address:sqlstring} or address = ${address:sqlstring})
order by occurred_at desc, event_id
limit 200
