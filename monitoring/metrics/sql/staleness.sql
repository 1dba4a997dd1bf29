-- Every mark is taken into all aggregates at once, so they all lack the same; but the counts of minutes are kept by the
-- ingest itself.
select
    c.relname,
    case
        when c.relname = 'events_minutely' then 0
        else
            coalesce(
                greatest(0, extract(epoch from clock_timestamp() - (select min(d.marked_at) from ops.dirty_buckets as d))), 0
            )
    end::float8 as seconds
from pg_class as c
where c.relnamespace = to_regnamespace('analytics') and c.relkind in ('r', 'p') and not c.relispartition
order by c.relname
