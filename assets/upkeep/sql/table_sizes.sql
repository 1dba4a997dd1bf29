-- The tables of a schema with indexes and all, the largest first; partitions are added up. Rows are estimates.
with chosen as (
    select
        c.oid,
        c.relname
    from pg_class as c
    where c.relkind = 'r' and c.relnamespace = to_regnamespace(%(schema)s)
)

select
    coalesce(p.relname, c.relname) as name,
    sum(pg_total_relation_size(c.oid))::bigint as bytes,
    coalesce(sum(s.n_live_tup), 0)::bigint as live_rows,
    coalesce(sum(s.n_dead_tup), 0)::bigint as dead_rows
from chosen as c
left join pg_inherits as i on c.oid = i.inhrelid
left join pg_class as p on i.inhparent = p.oid
left join pg_stat_user_tables as s on c.oid = s.relid
group by coalesce(p.relname, c.relname)
order by bytes desc, name asc
limit 20
