insert into ops.retention_frontier as f (frontier) values (%(frontier)s)
on conflict (one) do update
    set frontier = greatest(f.frontier, excluded.frontier), moved_at = now()
    where f.frontier < excluded.frontier
