select f.flag, count(*) as logins
from analytics.login_audit as a
cross join unnest(a.flags) as f (flag)
where $__timeFilter(a.occurred_at)
group by f.flag
order by logins desc, f.flag
