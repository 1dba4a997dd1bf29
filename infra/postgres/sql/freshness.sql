select
    d.hour,
    sum(d.events)::bigint as events,
    min(d.marked_at) as waiting_since,
    greatest(0, extract(epoch from now() - min(d.marked_at)))::double precision as waiting_seconds
from ops.dirty_buckets as d
group by d.hour
