-- The hours of a range, as far as they have anything or had.
insert into audit_hours (hour)
select date_trunc('hour', l.occurred_at, 'UTC') as hour
from analytics.login_audit as l
where l.occurred_at >= %(low)s and l.occurred_at < %(high)s
union
select g.hour
from analytics.logins_hourly as g
where g.hour >= %(low)s and g.hour < %(high)s
