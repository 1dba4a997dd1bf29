-- Delete the rows that should not be, and write those that should be and differ; flags are judged later.
with gone as (
    delete from analytics.login_audit as l
    using audit_changed as c
    where
        l.occurred_at = c.occurred_at and l.event_id = c.event_id
        and not exists (
            select 1
            from audit_truth as t
            where t.occurred_at = c.occurred_at and t.event_id = c.event_id
        )
)

insert into analytics.login_audit as l (occurred_at, event_id, position, user_id, action, ip, device, flags)
select
    t.occurred_at,
    t.event_id,
    t.position,
    t.user_id,
    t.action,
    t.ip,
    t.device,
    '{}' as flags
from audit_truth as t
where
    exists (
        select 1
        from audit_changed as c
        where c.occurred_at = t.occurred_at and c.event_id = t.event_id
    )
order by t.occurred_at, t.event_id
on conflict (occurred_at, event_id) do update
    set
        position = excluded.position,
        user_id = excluded.user_id,
        action = excluded.action,
        ip = excluded.ip,
        device = excluded.device
