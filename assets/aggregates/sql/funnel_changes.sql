-- How the funnel's counts change by how far users came.
insert into analytics.funnel_daily as f (day, step, name, definition, users)
select
    c.day,
    s.step,
    s.name,
    %(definition)s::text as definition,
    sum((c.stays and c.funnel_steps >= s.step)::integer - (c.was and c.old_funnel_steps >= s.step)::integer) as users
from changes as c
cross join unnest(%(names)s::text[]) with ordinality as s (name, step)
where c.was <> c.stays or c.funnel_steps <> c.old_funnel_steps
group by c.day, s.step, s.name
order by c.day, s.step
on conflict (day, step) do update
    set users = f.users + excluded.users, name = excluded.name, definition = excluded.definition
