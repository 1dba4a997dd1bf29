-- The rows of erased users go as far as their event is gone: what a user does while being erased stays, and stands in
-- audit_own. Rows that were deleted in this transaction still stand in every index, so from here on nothing looks a
-- user's rows up one by one in login_audit: they are all read once.
insert into audit_own (occurred_at, event_id, position, user_id, action, ip, device, flags)
with left_over as materialized (
    select
        e.occurred_at,
        e.event_id
    from raw.events as e
    where e.user_id = any(%(users)s::text[]) and e.type in ('login', 'logout')
),

rows_of_users as materialized (
    select a.*
    from analytics.login_audit as a
    where a.user_id = any(%(users)s::text[])
)

select
    a.occurred_at,
    a.event_id,
    a.position,
    a.user_id,
    a.action,
    a.ip,
    a.device,
    a.flags
from left_over as e
inner join rows_of_users as a on e.occurred_at = a.occurred_at and e.event_id = a.event_id;

analyze audit_own;

with going as (
    delete from analytics.login_audit as l
    where
        l.user_id = any(%(users)s::text[])
        and not exists (
            select 1 from audit_own as o
            where o.occurred_at = l.occurred_at and o.event_id = l.event_id
        )
    returning l.occurred_at, l.event_id, l.position, l.user_id, l.action, l.ip, l.address, l.device
)

insert into audit_changed (occurred_at, event_id, position, user_id, action, ip, address, device)
select
    g.occurred_at,
    g.event_id,
    g.position,
    g.user_id,
    g.action,
    g.ip,
    g.address,
    g.device
from going as g;

analyze audit_changed
