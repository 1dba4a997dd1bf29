-- What can run code of its own in this database and is not Millrace's: whoever reads, writes, migrates or restores it
-- would run it with their own rights. `foreign_owner` tells whether somebody else than the current user owns it, who is
-- no superuser. What belongs to an extension is not listed: only a superuser can have installed it, or trusted it.
with ours (what) as (
    values
    ('function ops.add_login_addresses()'),
    ('function ops.canonical_address(text)'),
    ('function ops.kafka_position(uuid,integer,bigint)'),
    ('function ops.oldest_transaction_seconds()'),
    ('function ops.remove_login_addresses()'),
    ('trigger login_addresses_come on analytics.login_audit'),
    ('trigger login_addresses_go on analytics.login_audit')
),

schemas as (
    select
        n.oid,
        n.nspname
    from pg_catalog.pg_namespace as n
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
),

relations as (
    select
        c.oid,
        c.relkind,
        c.relowner,
        s.nspname,
        pg_catalog.format('%I.%I', s.nspname, c.relname) as name
    from pg_catalog.pg_class as c
    inner join schemas as s on c.relnamespace = s.oid
),

-- Of the built-in functions only those that do something run code or reach out; these are not among them.
volatile as (
    select pg_catalog.string_agg(distinct p.proname, '|') as names
    from pg_catalog.pg_proc as p
    where
        p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
        and p.provolatile = 'v'
        and p.proname not in ('nextval', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'clock_timestamp', 'random', 'timeofday')
),

expressions (relation, kind, expression) as (
    select
        a.adrelid as relation,
        'default' as kind,
        pg_catalog.pg_get_expr(a.adbin, a.adrelid) as expression
    from pg_catalog.pg_attrdef as a
    union all
    select
        c.conrelid as relation,
        'constraint ' || c.conname as kind,
        pg_catalog.pg_get_constraintdef(c.oid) as expression
    from pg_catalog.pg_constraint as c
    where c.contype = 'c' and c.conrelid <> 0
),

found (catalogue, id, what, owner) as (
    select
        'pg_proc'::pg_catalog.regclass as catalogue,
        p.oid as id,
        'function ' || p.oid::pg_catalog.regprocedure::text as what,
        p.proowner as owner
    from pg_catalog.pg_proc as p
    inner join schemas as s on p.pronamespace = s.oid
    union all
    select
        'pg_trigger'::pg_catalog.regclass as catalogue,
        t.oid as id,
        pg_catalog.format('trigger %I on %s', t.tgname, r.name) as what,
        r.relowner as owner
    from pg_catalog.pg_trigger as t
    inner join relations as r on t.tgrelid = r.oid
    where not t.tgisinternal
    union all
    select
        'pg_rewrite'::pg_catalog.regclass as catalogue,
        w.oid as id,
        pg_catalog.format('rule %I on %s', w.rulename, r.name) as what,
        r.relowner as owner
    from pg_catalog.pg_rewrite as w
    inner join relations as r on w.ev_class = r.oid
    where w.rulename <> '_RETURN'
    union all
    select
        'pg_policy'::pg_catalog.regclass as catalogue,
        p.oid as id,
        pg_catalog.format('policy %I on %s', p.polname, r.name) as what,
        r.relowner as owner
    from pg_catalog.pg_policy as p
    inner join relations as r on p.polrelid = r.oid
    union all
    -- Views of `analytics` are made anew by every migrate, which alone may create there.
    select
        'pg_class'::pg_catalog.regclass as catalogue,
        r.oid as id,
        case r.relkind when 'f' then 'foreign table ' else 'view ' end || r.name as what,
        r.relowner as owner
    from relations as r
    where r.relkind in ('m', 'f') or (r.relkind = 'v' and r.nspname <> 'analytics')
    union all
    select
        'pg_class'::pg_catalog.regclass as catalogue,
        r.oid as id,
        pg_catalog.format('%s of %s, which calls a function that acts', e.kind, r.name) as what,
        r.relowner as owner
    from expressions as e
    inner join relations as r on e.relation = r.oid
    cross join volatile as v
    where e.expression ~ ('\m(' || v.names || ')"?\s*\(')
    union all
    select
        'pg_operator'::pg_catalog.regclass as catalogue,
        o.oid as id,
        'operator ' || o.oid::pg_catalog.regoperator::text as what,
        o.oprowner as owner
    from pg_catalog.pg_operator as o
    inner join schemas as s on o.oprnamespace = s.oid
    union all
    select
        'pg_type'::pg_catalog.regclass as catalogue,
        t.oid as id,
        'domain ' || t.oid::pg_catalog.regtype::text as what,
        t.typowner as owner
    from pg_catalog.pg_type as t
    inner join schemas as s on t.typnamespace = s.oid
    where t.typtype = 'd'
    union all
    select
        'pg_conversion'::pg_catalog.regclass as catalogue,
        c.oid as id,
        'conversion ' || c.conname as what,
        c.conowner as owner
    from pg_catalog.pg_conversion as c
    inner join schemas as s on c.connamespace = s.oid
    union all
    select
        'pg_event_trigger'::pg_catalog.regclass as catalogue,
        e.oid as id,
        'event trigger ' || e.evtname as what,
        e.evtowner as owner
    from pg_catalog.pg_event_trigger as e
)

-- restore.sh shows it on a terminal as it is: a name may hold line breaks and what commands a terminal.
select
    pg_catalog.regexp_replace(
        f.what, '[\u0001-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff|]', '?', 'g'
    ) as what,
    coalesce(r.rolname <> current_user and not r.rolsuper, true) as foreign_owner
from found as f
left join pg_catalog.pg_roles as r on f.owner = r.oid
where
    f.what not in (select o.what from ours as o)
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = f.catalogue and d.objid = f.id and d.deptype = 'e'
    )
order by f.what
