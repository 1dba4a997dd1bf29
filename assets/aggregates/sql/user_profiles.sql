-- The profiles of users whose days changed, each written once; then, in a rebuild, of those whose sessions or traits alone
-- did.
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
    (
        select t.value from ops.user_traits as t
        where t.user_id = u.user_id and t.kind = 'device'
        order by t.events desc, t.value collate "C" limit 1 -- noqa: RF02,RF03
    ) as usual_device,
    (
        select t.value from ops.user_traits as t
        where t.user_id = u.user_id and t.kind = 'ip'
        order by t.events desc, t.value collate "C" limit 1 -- noqa: RF02,RF03
    ) as usual_ip
from user_changes as u
left join counted as c on u.user_id = c.user_id
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
set usual_device = n.device, usual_ip = n.ip
from (
    select
        c.user_id,
        (
            select t.value from ops.user_traits as t
            where t.user_id = c.user_id and t.kind = 'device'
            order by t.events desc, t.value collate "C" limit 1 -- noqa: RF02,RF03
        ) as device,
        (
            select t.value from ops.user_traits as t
            where t.user_id = c.user_id and t.kind = 'ip'
            order by t.events desc, t.value collate "C" limit 1 -- noqa: RF02,RF03
        ) as ip
    from (
        select distinct x.user_id from trait_changes as x
        where x.user_id not in (select u.user_id from user_changes as u)
    ) as c
) as n
where p.user_id = n.user_id and (p.usual_device, p.usual_ip) is distinct from (n.device, n.ip);
