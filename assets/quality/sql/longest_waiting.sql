-- How long the oldest mark of the current hour and of earlier hours has waited, in seconds.
select
    coalesce(extract(epoch from now() - min(d.marked_at) filter (where d.hour >= date_trunc('hour', now(), 'UTC'))), 0)::float8 as current_hour,
    coalesce(extract(epoch from now() - min(d.marked_at) filter (where d.hour < date_trunc('hour', now(), 'UTC'))), 0)::float8 as earlier_hours,
    count(*) as marks
from ops.dirty_buckets as d
