-- The statements that give the role of the processes what it needs in this database, in their order; safe to repeat.
-- A table that is not named under `less` is read and written. Nothing here lets the role make or drop a table, but for
-- the days of raw.events, which it makes, detaches and drops, and Dagster's own tables: both it must own.
with less (relation, rights) as (
    values
    ('ops.alembic_version', 'select'),
    -- Who took these away would bring back erased users, hide losses or read records a second time.
    ('ops.claim_key', 'select'),
    ('ops.erasure_key', 'select, insert'),
    ('ops.erasures', 'select, insert, update'),
    ('ops.gaps', 'select, insert'),
    ('ops.offsets', 'select, insert, update'),
    ('ops.retention_frontier', 'select, insert, update'),
    ('ops.totals', 'select, insert, update')
),

relations as (
    select
        c.relkind,
        c.relname,
        n.nspname,
        format('%%I.%%I', n.nspname, c.relname) as relation,
        pg_get_userbyid(c.relowner) as owner
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where n.nspname in ('raw', 'ops', 'analytics', 'dagster') and c.relkind in ('r', 'p', 'v')
),

wanted (step, change, target) as (
    select
        1 as step,
        'grant connect, temporary on database %%2$s to %%1$I' as change,
        quote_ident(current_database()) as target
    union all
    select
        2 as step,
        'grant usage on schema raw, ops, analytics to %%1$I' as change,
        '' as target
    union all
    select
        3 as step,
        'grant create on schema raw to %%1$I' as change,
        '' as target
    union all
    select
        4 as step,
        'revoke all on %%2$s from %%1$I' as change,
        r.relation as target
    from relations as r
    where r.nspname in ('ops', 'analytics')
    union all
    select
        5 as step,
        format(
            'grant %%s on %%%%2$s to %%%%1$I',
            case
                when r.relkind = 'v' then 'select'
                -- A new day empties its slot.
                when r.relation like 'ops.hour\_members%%' then 'select, insert, update, delete, truncate'
                else coalesce(l.rights, 'select, insert, update, delete')
            end
        ) as change,
        r.relation as target
    from relations as r left join less as l on r.relation = l.relation
    where r.nspname in ('ops', 'analytics') or r.relation = 'raw.dead_letters'
    union all
    select
        6 as step,
        'alter table %%2$s owner to %%1$I' as change,
        r.relation as target
    from relations as r
    where r.nspname = 'raw' and r.relname ~ '^events($|_old$|_[0-9]{8}$)' and r.owner <> %(role)s
    union all
    select
        7 as step,
        'create schema if not exists dagster authorization %%1$I' as change,
        '' as target
    where to_regnamespace('dagster') is null
    union all
    select
        8 as step,
        'alter schema dagster owner to %%1$I' as change,
        '' as target
    from pg_namespace as n
    where n.nspname = 'dagster' and pg_get_userbyid(n.nspowner) <> %(role)s
    union all
    select
        9 as step,
        'alter table %%2$s owner to %%1$I' as change,
        r.relation as target
    from relations as r
    where r.nspname = 'dagster' and r.relkind <> 'v' and r.owner <> %(role)s
)

select format(w.change, %(role)s, w.target) as change
from wanted as w
order by w.step, w.target
