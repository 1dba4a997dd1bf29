-- A day without events has no rows.
delete from analytics.funnel_daily as f
where
    f.day in (
        select c.day from changes as c
        where not c.stays
    )
    and not exists (
        select 1 from ops.user_days as d
        where d.day = f.day
    )
