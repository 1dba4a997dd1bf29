select
    t.metric,
    t.labels,
    sum(t.amount) as amount
from ops.totals as t
group by t.metric, t.labels
order by t.metric, t.labels
