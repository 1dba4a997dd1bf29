select $__timeGroupAlias(a.occurred_at, $__interval), f.flag as metric, count(*) as logins
from analytics.login_audit as a
cross join unnest(a.flags) as f (flag)
where $__timeFilter(a.occurred_at)
group by 1, 2
order by 1, 2
