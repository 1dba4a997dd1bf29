-- Hours that something changed in, and that have no row to add to.
insert into audit_hours (hour)
select t.hour
from (
    select date_trunc('hour', c.occurred_at, 'UTC') as hour from audit_changed as c
    union
    select date_trunc('hour', j.occurred_at, 'UTC') as hour from audit_judged as j
) as t
where
    not exists (
        select 1 from analytics.logins_hourly as g
        where g.hour = t.hour
    )
    and (%(low)s::timestamptz is null or t.hour < %(low)s or t.hour >= %(high)s)
