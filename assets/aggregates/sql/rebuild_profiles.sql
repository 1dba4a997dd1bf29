-- The profiles of some users, from their days, traits and sessions.
with chosen as (
    select unnest(%(users)s::text[]) as user_id
),

fresh as materialized (
    select
        c.user_id,
        d.first_seen_at,
        d.last_seen_at,
        d.events,
        d.logins,
        d.page_views,
        d.button_clicks,
        d.form_submits,
        (
            select count(*) from analytics.sessions as s
            where s.user_id = c.user_id
        ) as sessions,
        (
            select t.value from ops.user_traits as t
            where t.user_id = c.user_id and t.kind = 'device'
            order by t.events desc, t.value collate "C" limit 1 -- noqa: RF02,RF03
        ) as usual_device,
        (
            select t.value from ops.user_traits as t
            where t.user_id = c.user_id and t.kind = 'ip'
            order by t.events desc, t.value collate "C" limit 1 -- noqa: RF02,RF03
        ) as usual_ip
    from chosen as c
    cross join
        lateral (
            select
                min(u.first_at) as first_seen_at,
                max(u.last_at) as last_seen_at,
                sum(u.events)::bigint as events,
                sum(u.logins)::bigint as logins,
                sum(u.page_views)::bigint as page_views,
                sum(u.button_clicks)::bigint as button_clicks,
                sum(u.form_submits)::bigint as form_submits
            from ops.user_days as u
            where u.user_id = c.user_id
        ) as d
    where d.events is not null
),

stale as (
    delete from analytics.user_profiles as p
    where
        p.user_id in (select chosen.user_id from chosen)
        and not exists (
            select 1 from fresh
            where fresh.user_id = p.user_id
        )
    returning 1
),

changed as (
    insert into analytics.user_profiles as p (
        user_id, first_seen_at, last_seen_at, events, logins, page_views, button_clicks, form_submits, sessions,
        usual_device, usual_ip
    )
    select
        fresh.user_id,
        fresh.first_seen_at,
        fresh.last_seen_at,
        fresh.events,
        fresh.logins,
        fresh.page_views,
        fresh.button_clicks,
        fresh.form_submits,
        fresh.sessions,
        fresh.usual_device,
        fresh.usual_ip
    from fresh
    except
    select
        t.user_id,
        t.first_seen_at,
        t.last_seen_at,
        t.events,
        t.logins,
        t.page_views,
        t.button_clicks,
        t.form_submits,
        t.sessions,
        t.usual_device,
        t.usual_ip
    from analytics.user_profiles as t
    where t.user_id in (select chosen.user_id from chosen)
    order by user_id
    on conflict (user_id) do update
        set
            first_seen_at = excluded.first_seen_at,
            last_seen_at = excluded.last_seen_at,
            events = excluded.events,
            logins = excluded.logins,
            page_views = excluded.page_views,
            button_clicks = excluded.button_clicks,
            form_submits = excluded.form_submits,
            sessions = excluded.sessions,
            usual_device = excluded.usual_device,
            usual_ip = excluded.usual_ip
    returning 1
)

select
    (select count(*) from fresh) as in_all,
    (select count(*) from stale) + (select count(*) from changed) as drift
