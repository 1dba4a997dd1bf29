with known as (
    select unnest(%(tables)s::text[]) as name
)

select
    w.hour,
    sum(w.events)::bigint as events,
    min(w.marked_at) as waiting_since,
    greatest(0, extract(epoch from now() - min(w.marked_at)))::double precision as waiting_seconds,
    null::text as aggregate,
    null::bigint as missing_days,
    null::date as oldest_missing,
    null::date as newest_missing,
    array(
        select distinct g.name from unnest(string_to_array(string_agg(w.groups, ','), ',')) as g (name)
        order by g.name
    ) as groups
from (
    select
        d.hour,
        d.events,
        d.marked_at,
        (
            select string_agg(c.name, ',') from unnest(%(groups)s::text[]) as c (name)
            where
                not exists (
                    select 1 from ops.taken_marks as m
                    where m.consumer = c.name and m.mark_id = d.mark_id
                )
        ) as groups
    from ops.dirty_buckets as d
) as w
where w.groups is not null
group by w.hour
union all
select
    null as hour,
    null as events,
    null as waiting_since,
    null as waiting_seconds,
    t.name as aggregate,
    coalesce((
        select sum(upper(r.days) - lower(r.days)) from unnest(h.missing) as r (days)
    ), e.newest - e.oldest + 1) as missing_days,
    coalesce(lower(h.missing), e.oldest) as oldest_missing,
    coalesce(upper(h.missing) - 1, e.newest) as newest_missing,
    null as groups
from known as t
left join ops.aggregate_history as h on t.name = h.name
-- Of a table that nobody has looked at yet nothing is known but the days that there are.
left join lateral (
    select
        (min(m.minute) at time zone 'UTC')::date as oldest,
        (max(m.minute) at time zone 'UTC')::date as newest
    from analytics.events_minutely as m
    where
        h.name is null
        and m.minute >= coalesce((select f.frontier from ops.retention_frontier as f), '-infinity')
) as e on true
where h.missing <> '{}' or e.oldest is not null
