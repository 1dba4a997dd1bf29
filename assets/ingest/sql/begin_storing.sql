-- Begins a storing transaction. Not one statement: what is read must be read after the locks were waited for.
begin;
select set_config('lock_timeout', %(timeout)s, true);
select pg_advisory_xact_lock_shared(%(corrections)s)
where %(again)s;
select pg_advisory_xact_lock_shared(%(rules)s);
select
    (
        select (extract(epoch from f.frontier) * 1000000)::bigint from ops.retention_frontier as f
        where isfinite(f.frontier)
    ) as frontier,
    exists(select 1 from ops.erasures) as erasures
