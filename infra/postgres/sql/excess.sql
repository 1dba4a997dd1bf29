-- What is not as it should be with the analysts' role in this database: empty is good.
select 'is more than a plain role (superuser, createrole, createdb, replication or bypassrls)' as excess
from pg_roles as r
where
    r.rolname = 'millrace_analyst'
    and (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls)
union all
select 'may create temporary tables'
where has_database_privilege('millrace_analyst', current_database(), 'TEMPORARY')
union all
select 'may create schemas'
where has_database_privilege('millrace_analyst', current_database(), 'CREATE')
union all
select format('may create in schema %I', n.nspname)
from pg_namespace as n
where n.nspname !~ '^pg_(temp|toast_temp)_' and has_schema_privilege('millrace_analyst', n.oid, 'CREATE')
union all
select format('is a member of %I', r.rolname)
from pg_auth_members as m
inner join pg_roles as r on m.roleid = r.oid
where m.member = 'millrace_analyst'::regrole
union all
select 'may not connect'
where not has_database_privilege('millrace_analyst', current_database(), 'CONNECT')
union all
select format('may connect to database %I, where it has no limits', d.datname)
from pg_database as d
where
    d.datallowconn
    and d.datname <> current_database()
    and has_database_privilege('millrace_analyst', d.oid, 'CONNECT')
    and not exists (
        select from aclexplode(d.datacl) as a
        where a.grantee = 'millrace_analyst'::regrole and a.privilege_type = 'CONNECT'
    )
    and not exists (
        select from pg_db_role_setting as s
        where
            s.setdatabase = d.oid
            and s.setrole = 'millrace_analyst'::regrole
            and array_to_string(s.setconfig, ',') ~ '(^|,)temp_file_limit='
    )
union all
select format('may call %s, by which it can stop the ingest or fill the disk', string_agg(distinct p.proname, ', '))
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
    and has_function_privilege('millrace_analyst', p.oid, 'execute')
having count(*) > 0
union all
select format('may write functions in %s', string_agg(l.lanname, ', '))
from pg_language as l
where l.lanpltrusted and has_language_privilege('millrace_analyst', l.oid, 'usage')
having count(*) > 0
