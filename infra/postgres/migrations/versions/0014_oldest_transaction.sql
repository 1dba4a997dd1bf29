-- Others' sessions are told to who may read all statistics: the owner, where he is a superuser or pg_read_all_stats.
-- The processes, who are neither, ask by this and are told one number. Nothing where even the owner may not know it.
create function ops.oldest_transaction_seconds() returns double precision
language sql stable security definer
set search_path = pg_catalog, pg_temp as $function$
    select case when pg_has_role(current_user, 'pg_read_all_stats', 'usage') then
        coalesce(extract(epoch from clock_timestamp() - min(t.since)), 0)::double precision
    end
    from (
        select a.xact_start as since from pg_stat_activity as a
        where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
        union all
        select p.prepared as since from pg_prepared_xacts as p
    ) as t
$function$;
comment on function ops.oldest_transaction_seconds() is
'For how long the oldest transaction of the server is open, in any database; 0 without any, null where it is not known';
