-- Flags that rows are about to get and do not have, by how old their login is; as many rows as there are flags, twice.
select
    f.flag,
    case when j.occurred_at > now() - interval '1 hour' then 'recent' else 'late' end as age,
    count(*) as newly
from audit_judged as j
cross join unnest(j.flags) as f (flag)
where f.flag <> all(j.before)
group by f.flag, age
