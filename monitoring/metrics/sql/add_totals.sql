-- Labels come joined, since arrays of arrays would all have to be of one length.
insert into ops.totals as t (metric, labels, lane, amount)
select
    a.metric,
    string_to_array(a.labels, chr(31)) as labels,
    %(lane)s,
    a.amount
from unnest(%(metrics)s::text[], %(labels)s::text[], %(amounts)s::double precision[]) as a (metric, labels, amount)
on conflict (metric, labels, lane) do update
    set amount = t.amount + excluded.amount, changed_at = clock_timestamp()
