-- The hours of what arrived, and whether ops.hour_members holds everybody who is counted in them. An hour can be tracked
-- from its first event on: events_hourly, which is whole, has no row of it. The newest day takes a slot.
insert into arrived_hours (hour, slot, number, tracked, begins, other_day)
with here as (
    select
        a.hour,
        (extract(epoch from a.hour) / 3600)::integer as number
    from (select distinct x.hour from arrived as x) as a
),

numbered as (
    select
        h.hour,
        h.number,
        -- As `members.SLOT`; days before 1970 have slots, too.
        ((floor(h.number / 24.0)::integer % 8 + 8) % 8)::smallint as slot,
        floor(h.number / 24.0)::integer as day
    from here as h
),

held as (
    select
        s.slot,
        s.newest,
        floor(
            (
                select max(m.hour) from ops.hour_members as m
                where m.slot = s.slot
            ) / 24.0
        )::integer as day
    from (
        select
            n.slot,
            max(n.day) as newest
        from numbered as n
        group by n.slot
    ) as s
),

known as (
    select
        n.*,
        -- A release that knows no members may have added events since, as after a roll-back: then they are not all here.
        coalesce((
            select
                m.events = (
                    select sum(e.events) from analytics.events_hourly as e
                    where e.hour = n.hour
                )
            from ops.hour_members as m
            where m.slot = n.slot and m.hour = n.number and m.member = '00000000-0000-0000-0000-000000000000'
        ), false) as tracked
    from numbered as n
)

select
    k.hour,
    k.slot,
    k.number,
    k.tracked,
    not k.tracked
    and k.day = h.newest and k.day >= coalesce(h.day, k.day)
    and not exists (
        select 1 from analytics.events_hourly as e
        where e.hour = k.hour
    )
    and not exists (
        select 1 from ops.aggregate_history as g
        where g.name = 'events_hourly' and g.missing @> (k.hour at time zone 'UTC')::date
    ) as begins,
    coalesce(h.day < k.day, false) as other_day
from known as k
inner join held as h on k.slot = h.slot
