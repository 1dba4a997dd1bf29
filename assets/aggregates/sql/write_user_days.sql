delete from ops.user_days as d
using changes as c
where d.user_id = c.user_id and d.day = c.day and not c.stays;

insert into ops.user_days as d (
    user_id, day, events, logins, page_views, button_clicks, form_submits, first_at, last_at, funnel_steps,
    funnel_at, funnel_key
)
select
    c.user_id,
    c.day,
    c.events,
    c.logins,
    c.page_views,
    c.button_clicks,
    c.form_submits,
    c.first_at,
    c.last_at,
    c.funnel_steps,
    case
        when c.funnel_steps = 0 then c.day::timestamp at time zone 'UTC'  -- clients cannot read infinity
        when c.funnel_steps = c.old_funnel_steps then coalesce(c.funnel_at, c.last_at)
        else c.last_at
    end as funnel_at,
    %(funnel)s + c.funnel_steps as funnel_key
from changes as c
where c.stays
order by c.user_id, c.day
on conflict (user_id, day) do update
    set
        events = d.events + excluded.events,
        logins = d.logins + excluded.logins,
        page_views = d.page_views + excluded.page_views,
        button_clicks = d.button_clicks + excluded.button_clicks,
        form_submits = d.form_submits + excluded.form_submits,
        first_at = excluded.first_at,
        last_at = excluded.last_at,
        funnel_steps = excluded.funnel_steps,
        funnel_at = excluded.funnel_at,
        funnel_key = excluded.funnel_key;

insert into ops.user_day_traits as t (user_id, day, kind, value, events)
select
    c.user_id,
    c.day,
    c.kind,
    c.value,
    c.events
from trait_changes as c
order by c.user_id, c.day, c.kind, c.value
on conflict (user_id, day, kind, value) do update set events = t.events + excluded.events;

delete from ops.user_day_traits as t
using trait_changes as c
where
    t.user_id = c.user_id and t.day = c.day and t.kind = c.kind and t.value = c.value
    and c.events < 0 and t.events = 0;

with written as (
    insert into ops.user_traits as t (user_id, kind, value, events)
    select
        c.user_id,
        c.kind,
        c.value,
        sum(c.events) as events
    from trait_changes as c
    group by c.user_id, c.kind, c.value
    having sum(c.events) <> 0
    order by c.user_id, c.kind, c.value
    on conflict (user_id, kind, value) do update set events = t.events + excluded.events
    returning t.user_id, t.kind, t.value, t.events
)

insert into trait_totals (user_id, kind, value, events)
select
    w.user_id,
    w.kind,
    w.value,
    w.events
from written as w;

delete from ops.user_traits as t
using trait_changes as c
where t.user_id = c.user_id and t.kind = c.kind and t.value = c.value and c.events < 0 and t.events = 0;
