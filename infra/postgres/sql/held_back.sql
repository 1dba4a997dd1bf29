-- The statements that keep from analysts what everybody may in a new database: advisory locks, by which a reader could
-- stop the ingest, and what writes or takes numbers of transactions without a right to any table. Who writes to
-- Millrace's tables keeps the functions. The languages, in which a function for others to run can be planted, are for
-- who may create in `ops`: the owner.
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
            or p.proname in (
                'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'pg_logical_emit_message',
                'pg_export_snapshot', 'pg_notify', 'pg_current_xact_id', 'txid_current'
            )
        )
),

languages as (
    select
        l.oid,
        format('%I', l.lanname) as name,
        has_language_privilege('millrace_analyst', l.oid, 'usage') as open
    from pg_language as l
    where l.lanpltrusted
),

roles as (
    select
        r.oid,
        r.rolname,
        has_table_privilege(r.oid, 'ops.offsets', 'update') as writes,
        has_schema_privilege(r.oid, 'ops', 'create') as makes
    from pg_roles as r
    where not r.rolsuper and r.rolname !~ '^pg_'
)

select format('grant execute on function %s to %I', f.name, r.rolname) as change
from functions as f
cross join roles as r
where r.writes and (f.open or not has_function_privilege(r.oid, f.oid, 'execute'))
union all
select format('grant usage on language %s to %I', l.name, r.rolname) as change
from languages as l
cross join roles as r
where r.makes and (l.open or not has_language_privilege(r.oid, l.oid, 'usage'))
union all
select format('revoke execute on function %s from public', f.name) as change
from functions as f
where f.open
union all
select format('revoke usage on language %s from public', l.name) as change
from languages as l
where l.open
