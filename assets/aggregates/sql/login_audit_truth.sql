-- What raw.events says of a range; the bounds are literals, so that only its partitions are planned.
insert into audit_truth (occurred_at, event_id, position, user_id, action, ip, address, device)
select
    e.occurred_at,
    e.event_id,
    ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset) as position,
    e.user_id,
    e.type,
    e.payload ->> 'ip' as ip,
    ops.canonical_address(e.payload ->> 'ip') as address,
    case when e.type = 'login' then nullif(e.payload ->> 'device', '') end as device
from raw.events as e
where e.occurred_at >= %(low)s and e.occurred_at < %(high)s and e.type in ('login', 'logout')
