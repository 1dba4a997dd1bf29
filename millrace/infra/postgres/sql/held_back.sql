-- The statements that keep from analysts what everybody may call in a new database: advisory locks, by which a reader
-- could stop the ingest, and what writes without a right to any table. Who writes to Millrace's books keeps them.
with functions as (
    select
        p.oid,
        p.oid::regprocedure::text as name,
        has_function_privilege('millrace_analyst', p.oid, 'execute') as open
    from pg_proc as p
    where
        p.pronamespace = 'pg_catalog'::regnamespace
        and (
            p.proname ~ '^pg_(try_)?advisory_(xact_)?lock(_shared)?$'
            or p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'pg_logical_emit_message')
        )
)

select format('grant execute on function %s to %I', f.name, r.rolname) as change
from functions as f
cross join pg_roles as r
where
    not r.rolsuper
    and r.rolname !~ '^pg_'
    and has_table_privilege(r.oid, 'ops.offsets', 'update')
    and (f.open or not has_function_privilege(r.oid, f.oid, 'execute'))
union all
select format('revoke execute on function %s from public', f.name) as change
from functions as f
where f.open
