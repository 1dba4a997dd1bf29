-- A mark is taken into all tables of a group at once, so they all lack the same. Tables of no group, as the counts of
-- minutes that the ingest itself keeps, lack nothing.
with waits as (
    select
        g.consumer,
        min(d.marked_at) as since
    from (select distinct unnest(%(groups)s::text[]) as consumer) as g
    inner join ops.dirty_buckets as d
        on
            not exists (
                select 1 from ops.taken_marks as m
                where m.consumer = g.consumer and m.mark_id = d.mark_id
            )
    group by g.consumer
)

select
    c.relname,
    coalesce(greatest(0, extract(epoch from clock_timestamp() - w.since)), 0)::float8 as seconds
from pg_class as c
left join unnest(%(tables)s::text[], %(groups)s::text[]) as t (name, consumer) on c.relname = t.name
left join waits as w on t.consumer = w.consumer
where c.relnamespace = to_regnamespace('analytics') and c.relkind in ('r', 'p') and not c.relispartition
order by c.relname
