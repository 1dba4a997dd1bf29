-- Every table with indexes and all, partitions added up. Rows are estimates.
select
    n.nspname || '.' || coalesce(p.relname, c.relname) as name,
    sum(pg_total_relation_size(c.oid))::bigint as bytes,
    coalesce(sum(s.n_live_tup), 0)::bigint as live_rows
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
left join pg_inherits as i on c.oid = i.inhrelid
left join pg_class as p on i.inhparent = p.oid
left join pg_stat_user_tables as s on c.oid = s.relid
where n.nspname in ('raw', 'ops', 'analytics', 'dagster') and c.relkind = 'r'
group by n.nspname, coalesce(p.relname, c.relname)
order by name
