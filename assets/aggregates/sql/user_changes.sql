-- What the changes of days mean for the users; also those of whom only sessions or traits changed. Their first and last event
-- are looked up where a day lost one.
insert into user_changes (
    user_id, old_first_at, first_at, last_at, usual_device, usual_ip, events, logins, page_views, button_clicks,
    form_submits
)
select
    c.user_id,
    p.first_seen_at as old_first_at,
    case when c.shrinks then d.first_at else least(p.first_seen_at, c.first_at) end as first_at,
    case when c.shrinks then d.last_at else greatest(p.last_seen_at, c.last_at) end as last_at,
    p.usual_device,
    p.usual_ip,
    c.events,
    c.logins,
    c.page_views,
    c.button_clicks,
    c.form_submits
from (
    select
        x.user_id,
        bool_or(not x.stays or x.first_at > x.old_first_at or x.last_at < x.old_last_at) as shrinks,
        min(x.first_at) as first_at,
        max(x.last_at) as last_at,
        sum(x.events) as events,
        sum(x.logins) as logins,
        sum(x.page_views) as page_views,
        sum(x.button_clicks) as button_clicks,
        sum(x.form_submits) as form_submits
    from changes as x
    group by x.user_id
) as c
left join analytics.user_profiles as p on c.user_id = p.user_id
left join lateral (
    select
        min(u.first_at) as first_at,
        max(u.last_at) as last_at
    from ops.user_days as u
    where u.user_id = c.user_id and c.shrinks
) as d on true
