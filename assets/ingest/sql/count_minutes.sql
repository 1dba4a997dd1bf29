insert into analytics.events_minutely as m (minute, type, events)
select
    c.minute,
    c.type,
    c.events
from unnest(%(minutes)s::timestamptz[], %(types)s::text[], %(events)s::bigint[]) as c (minute, type, events)
order by c.minute, c.type
on conflict (minute, type) do update
    set events = m.events + excluded.events
