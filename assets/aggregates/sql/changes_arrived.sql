-- How the days of users change by what arrived.
insert into changes
select
    a.user_id,
    a.day,
    d.user_id is not null as was,
    true as stays,
    a.events,
    a.logins,
    a.page_views,
    a.button_clicks,
    a.form_submits,
    d.first_at as old_first_at,
    least(a.first_at, d.first_at) as first_at,
    d.last_at as old_last_at,
    greatest(a.last_at, d.last_at) as last_at,
    coalesce(d.funnel_steps, 0) as old_funnel_steps,
    coalesce(d.funnel_steps, 0) as funnel_steps,
    case
        when d.user_id is null then '-infinity'
        when d.funnel_key = %(funnel)s + d.funnel_steps then d.funnel_at  -- noqa: RF02
    end as funnel_at
from (
    select
        x.user_id,
        x.day,
        count(*) as events,
        count(*) filter (where x.type = 'login') as logins,
        count(*) filter (where x.type = 'page_view') as page_views,
        count(*) filter (where x.type = 'button_click') as button_clicks,
        count(*) filter (where x.type = 'form_submit') as form_submits,
        min(x.occurred_at) as first_at,
        max(x.occurred_at) as last_at
    from arrived as x
    group by x.user_id, x.day
) as a
left join ops.user_days as d on a.user_id = d.user_id and a.day = d.day
