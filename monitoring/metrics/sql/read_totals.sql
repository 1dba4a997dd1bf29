-- The lane -2 is what was told of ended runs: see ended_runs.sql.
select
    t.metric,
    t.labels,
    sum(t.amount) as amount
from ops.totals as t
where t.lane >= -1
group by t.metric, t.labels
order by t.metric, t.labels
