-- Events of a span by its sessions, and by raw.events. A session that lies in the span says how many events it has; of
-- one that crosses an edge the events inside are counted. One that began before has an event in the first half hour.
with inside as (
    select
        s.user_id,
        s.started_at,
        s.ended_at,
        s.events
    from analytics.sessions as s
    where s.started_at >= %(low)s and s.started_at < %(high)s
),

early as (
    select distinct e.user_id
    from raw.events as e
    where e.occurred_at >= %(low)s and e.occurred_at <= %(low)s + interval '30 minutes' and e.occurred_at < %(high)s
),

crossing as (
    select
        i.user_id,
        i.started_at,
        i.ended_at
    from inside as i
    where i.ended_at >= %(high)s
    union all
    select
        early.user_id,
        before.started_at,
        before.ended_at
    from early
    inner join lateral (
        select
            s.started_at,
            s.ended_at
        from analytics.sessions as s
        where s.user_id = early.user_id and s.started_at < %(low)s
        order by s.started_at desc
        limit 1
    ) as before on before.ended_at >= %(low)s
),

within as (
    select count(e.event_id) as events
    from crossing as c
    inner join raw.events as e
        on
            c.user_id = e.user_id
            and c.started_at <= e.occurred_at
            and c.ended_at >= e.occurred_at
    where e.occurred_at >= %(low)s and e.occurred_at < %(high)s
)

select
    (
        select count(*) from raw.events as e
        where e.occurred_at >= %(low)s and e.occurred_at < %(high)s
    ) as stored,
    (
        select coalesce(sum(i.events), 0)::bigint from inside as i
        where i.ended_at < %(high)s
    ) + (select within.events from within) as kept,
    (
        select coalesce(sum(d.events), 0)::bigint from ops.dirty_buckets as d
        where
            d.hour >= %(low)s and d.hour < %(high)s
            and not exists (
                select 1 from ops.taken_marks as t
                where t.consumer = 'users' and t.mark_id = d.mark_id
            )
    ) as waiting
