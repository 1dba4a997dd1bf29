-- The hours whose rows or flags changed, outside a range that is counted anyway.
insert into audit_hours (hour)
select t.hour
from (
    select date_trunc('hour', c.occurred_at, 'UTC') as hour from audit_changed as c
    union
    select date_trunc('hour', j.occurred_at, 'UTC') as hour from audit_judged as j
) as t
where %(low)s::timestamptz is null or t.hour < %(low)s or t.hour >= %(high)s
