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
