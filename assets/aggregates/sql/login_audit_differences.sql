-- Rows of the range that are not what raw.events says leave the table; as they should be, they are to come. The bounds are
-- literals, so that only the range's partitions are planned.
with truth as (
    select
        e.occurred_at,
        e.event_id,
        e.user_id,
        e.type as action,
        ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset) as position,
        e.payload ->> 'ip' as ip,
        case when e.type = 'login' then nullif(e.payload ->> 'device', '') end as device,
        count(*) over (partition by e.user_id, e.occurred_at) > 1 as tied
    from raw.events as e
    where e.occurred_at >= %(low)s and e.occurred_at < %(high)s and e.type in ('login', 'logout')
),

paired as materialized (
    select
        l as have,
        t as want,
        -- Another position matters only among rows of one time: flags depend on which of them was the last.
        array[l.user_id, l.action, l.ip, l.device] <> array[t.user_id, t.action, t.ip, t.device] or t.tied as matters
    from (
        select * from analytics.login_audit
        where occurred_at >= %(low)s and occurred_at < %(high)s
    ) as l
    full outer join truth as t on l.occurred_at = t.occurred_at and l.event_id = t.event_id
    where
        (l.user_id, l.action, l.ip, l.device, l.position)
        is distinct from (t.user_id, t.action, t.ip, t.device, t.position)
),

moved as (
    update analytics.login_audit as l
    set position = (p.want).position
    from paired as p
    where
        l.occurred_at = (p.have).occurred_at and l.event_id = (p.have).event_id
        and l.occurred_at >= %(low)s and l.occurred_at < %(high)s
        and (p.have).event_id is not null and not p.matters
),

gone as (
    delete from analytics.login_audit as l
    using paired as p
    where
        l.occurred_at = (p.have).occurred_at and l.event_id = (p.have).event_id
        and l.occurred_at >= %(low)s and l.occurred_at < %(high)s
        and (p.have).event_id is not null and p.matters
    returning l.*
)

insert into audit_changed (occurred_at, event_id, position, user_id, action, ip, address, device, flags, change)
select
    g.occurred_at,
    g.event_id,
    g.position,
    g.user_id,
    g.action,
    g.ip,
    g.address,
    g.device,
    g.flags,
    -1 as change
from gone as g
union all
select
    (p.want).occurred_at as occurred_at,
    (p.want).event_id as event_id,
    (p.want).position as position,
    (p.want).user_id as user_id,
    (p.want).action as action,
    (p.want).ip as ip,
    ops.canonical_address((p.want).ip) as address,
    (p.want).device as device,
    coalesce((p.have).flags, '{}') as flags,
    1 as change
from paired as p
where p.matters and (p.want).event_id is not null
