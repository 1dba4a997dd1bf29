-- The profiles of users whose days changed, each written once; then, in a rebuild, of those whose sessions or traits alone
-- did.

-- The usual device or address is the one that was, or one that has more events now; of users who lost some it may be any.
insert into user_usual (user_id, devices, device, ips, ip)
with lost as (
    select distinct
        c.user_id,
        c.kind
    from trait_changes as c
    where c.events < 0
),

candidates as (
    select
        t.user_id,
        t.kind,
        case when t.events > 0 then t.value end as value,
        t.events
    from trait_totals as t
    union all
    select
        w.user_id,
        w.kind,
        w.usual as value,
        e.events
    from (
        select
            t.user_id,
            t.kind,
            t.value,
            case
                when t.kind = 'device' then coalesce(u.usual_device, p.usual_device) else coalesce(u.usual_ip, p.usual_ip)
            end as usual
        from trait_totals as t
        left join user_changes as u on t.user_id = u.user_id
        left join
            lateral (
                select
                    x.usual_device,
                    x.usual_ip
                from analytics.user_profiles as x
                where x.user_id = t.user_id and u.user_id is null
                offset 0  -- noqa: AM09
            ) as p
            on true
    ) as w
    cross join
        lateral (
            select t.events from ops.user_traits as t
            where t.user_id = w.user_id and t.kind = w.kind and t.value = w.usual
            offset 0  -- noqa: AM09
        ) as e
    where w.value <> w.usual
    union all
    select
        l.user_id,
        l.kind,
        e.value,
        e.events
    from lost as l
    cross join
        lateral (
            select
                t.value,
                t.events
            from ops.user_traits as t
            where t.user_id = l.user_id and t.kind = l.kind
            offset 0  -- noqa: AM09
        ) as e
)

select
    c.user_id,
    bool_or(c.kind = 'device') as devices,
    (array_agg(c.value order by c.events desc, c.bytes asc) filter (where c.kind = 'device'))[1] as device,
    bool_or(c.kind = 'ip') as ips,
    (array_agg(c.value order by c.events desc, c.bytes asc) filter (where c.kind = 'ip'))[1] as ip
from (
    select
        u.*,
        u.value collate "C" as bytes  -- noqa: RF03
    from candidates as u
) as c
group by c.user_id;

delete from analytics.user_profiles as p
using user_changes as u
where p.user_id = u.user_id and u.first_at is null;

with counted as (
    select
        c.user_id,
        sum(c.change) as change
    from session_changes as c
    group by c.user_id
)

insert into analytics.user_profiles as p (
    user_id, first_seen_at, last_seen_at, events, logins, page_views, button_clicks, form_submits, sessions,
    usual_device, usual_ip
)
select
    u.user_id,
    u.first_at,
    u.last_at,
    u.events,
    u.logins,
    u.page_views,
    u.button_clicks,
    u.form_submits,
    coalesce(c.change, 0) as sessions,
    case when n.devices then n.device else u.usual_device end as usual_device,
    case when n.ips then n.ip else u.usual_ip end as usual_ip
from user_changes as u
left join counted as c on u.user_id = c.user_id
left join user_usual as n on u.user_id = n.user_id
where u.first_at is not null
order by u.user_id
on conflict (user_id) do update
    set
        first_seen_at = excluded.first_seen_at,
        last_seen_at = excluded.last_seen_at,
        events = p.events + excluded.events,
        logins = p.logins + excluded.logins,
        page_views = p.page_views + excluded.page_views,
        button_clicks = p.button_clicks + excluded.button_clicks,
        form_submits = p.form_submits + excluded.form_submits,
        sessions = p.sessions + excluded.sessions,
        usual_device = excluded.usual_device,
        usual_ip = excluded.usual_ip;

update analytics.user_profiles as p
set sessions = p.sessions + s.change
from (
    select
        c.user_id,
        sum(c.change) as change
    from session_changes as c
    where c.user_id not in (select u.user_id from user_changes as u)
    group by c.user_id
    having sum(c.change) <> 0
) as s
where p.user_id = s.user_id;

update analytics.user_profiles as p
set
    usual_device = case when n.devices then n.device else p.usual_device end,
    usual_ip = case when n.ips then n.ip else p.usual_ip end
from user_usual as n
where p.user_id = n.user_id and n.user_id not in (select u.user_id from user_changes as u);
