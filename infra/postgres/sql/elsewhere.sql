-- The statements that keep analysts out of the server's other databases, where nothing is taken from their role: only
-- what the current user may change. Who owns something there, or has a right to it, keeps the way in. A database that
-- names the analysts, or limits them as only a superuser can, is another Millrace's.
with databases as (
    select
        d.oid,
        d.datname,
        d.datdba,
        coalesce(d.datacl, acldefault('d', d.datdba)) as acl
    from pg_database as d
    where
        d.datallowconn
        and d.datname <> current_database()
        and pg_has_role(d.datdba, 'usage')
        and not exists (
            select from pg_db_role_setting as s
            where
                s.setdatabase = d.oid
                and s.setrole = 'millrace_analyst'::regrole
                and array_to_string(s.setconfig, ',') ~ '(^|,)temp_file_limit='
        )
),

open as (
    select
        d.oid,
        d.datname,
        d.acl
    from databases as d
    where
        exists (
            select from aclexplode(d.acl) as a
            where a.grantee = 0 and a.privilege_type = 'CONNECT'
        )
)

select format('grant connect on database %I to %I', o.datname, r.rolname) as change
from open as o
inner join pg_roles as r
    on r.oid in (
        select s.refobjid from pg_shdepend as s
        where s.dbid = o.oid and s.refclassid = 'pg_authid'::regclass
    )
where
    not r.rolsuper
    and r.rolname !~ '^pg_'
    and r.rolname <> 'millrace_analyst'
    and not exists (
        select from aclexplode(o.acl) as a
        where a.grantee = r.oid and a.privilege_type = 'CONNECT'
    )
union all
select format('revoke connect on database %I from public', o.datname) as change
from open as o
