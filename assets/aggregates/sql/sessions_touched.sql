-- What arrived as small sessions (`session_items`), and the sessions that are there and that these touch. An event up to
-- the end of a frozen session belongs to that one, which stays as it is. Cost: what arrived, whatever sessions hold.
insert into session_items (
    user_id, started_at, ended_at, events, page_views, entry_at, entry_position, entry_page, exit_at, exit_position,
    exit_page
)
with frozen as (
    select
        u.user_id,
        f.ended_at
    from (
        select
            a.user_id,
            min(a.occurred_at) as low
        from arrived as a
        where %(frontier)s::timestamptz > '-infinity'::timestamptz and a.occurred_at >= %(frontier)s::timestamptz
        group by a.user_id
    ) as u
    cross join
        lateral (
            select
                s.started_at,
                s.ended_at
            from analytics.sessions as s
            where s.user_id = u.user_id and s.started_at <= u.low
            order by s.started_at desc limit 1
        ) as f
    where f.started_at < %(frontier)s::timestamptz and f.ended_at >= u.low
),

marked as (
    select
        a.user_id,
        a.occurred_at,
        a.type = 'page_view' as viewed,
        -- As in sessions_compute: the first and the last page are a minimum and a maximum.
        case
            when a.type = 'page_view'
                then
                    encode(
                        timestamptz_send(a.occurred_at + interval '43829100 hours') || uuid_send(a.position), 'hex'
                    ) || (a.payload ->> 'page') collate "C"  -- noqa: RF02,RF03
        end as page,
        a.occurred_at - lag(a.occurred_at) over in_order > interval '30 minutes' as far
    from arrived as a
    left join frozen as f on a.user_id = f.user_id
    where a.occurred_at >= %(frontier)s::timestamptz and (f.ended_at is null or f.ended_at < a.occurred_at)
    window in_order as (partition by a.user_id order by a.occurred_at)
),

numbered as (
    select
        m.*,
        count(*) filter (where m.far) over (
            partition by m.user_id order by m.occurred_at rows unbounded preceding
        ) as cluster
    from marked as m
)

select
    n.user_id,
    min(n.occurred_at) as started_at,
    max(n.occurred_at) as ended_at,
    count(*) as events,
    count(*) filter (where n.viewed) as page_views,
    min(n.occurred_at) filter (where n.viewed) as entry_at,
    substr(min(n.page), 17, 32)::uuid as entry_position,
    substr(min(n.page), 49) as entry_page,
    max(n.occurred_at) filter (where n.viewed) as exit_at,
    substr(max(n.page), 17, 32)::uuid as exit_position,
    substr(max(n.page), 49) as exit_page
from numbered as n
group by n.user_id, n.cluster;

insert into session_touched
select distinct on (s.session_id) s.*  -- noqa: AM04
from session_items as c
cross join
    lateral (
        select o.*
        from analytics.sessions as o
        where
            o.user_id = c.user_id
            and (o.user_id, o.started_at) <= (c.user_id, c.ended_at + interval '30 minutes')
            and o.ended_at >= c.started_at - interval '30 minutes'
            -- Sessions of a user do not overlap: of those that began earlier only the last can reach so far. By rows, so
            -- that no other index than the one by user and start can be taken, whoever has most sessions.
            and (o.user_id, o.started_at) >= (
                c.user_id,
                greatest(
                    (
                        select case when p.user_id = c.user_id then p.started_at end
                        from (
                            select
                                b.user_id,
                                b.started_at
                            from analytics.sessions as b
                            where (b.user_id, b.started_at) < (c.user_id, c.started_at - interval '30 minutes')
                            order by b.user_id desc, b.started_at desc limit 1
                        ) as p
                    ),
                    %(frontier)s::timestamptz
                )
            )
        offset 0  -- noqa: AM09
    ) as s
