-- When each lane committed last, and what it accounted for.
select
    c.lane,
    extract(epoch from c.changed_at)::float8 as last_commit,
    coalesce((
        select sum(e.amount) from ops.totals as e
        where e.metric = 'millrace_events_total' and e.lane = c.lane
    ), 0) as records
from ops.totals as c
where c.metric = 'millrace_batches_total' and c.labels = array['committed'] and c.lane >= 0 and c.lane < %(most)s
order by c.lane
