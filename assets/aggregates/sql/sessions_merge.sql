-- Puts session_new in the place of session_old; a session that is as it should be is not touched, not even locked.
insert into session_changes (user_id, change)
select
    c.user_id,
    sum(c.change) as change
from (
    select
        n.user_id,
        1 as change
    from session_new as n
    union all
    select
        o.user_id,
        -1 as change
    from session_old as o
) as c
group by c.user_id
having sum(c.change) <> 0;

analyze session_old;

analyze session_new;

with removed as (
    delete from analytics.sessions as s
    where
        s.session_id in (
            select o.session_id from session_old as o
            except
            select n.session_id from session_new as n
        )
    returning 1
),

there as (
    select s.*
    from session_old as o
    inner join analytics.sessions as s on o.session_id = s.session_id
),

-- A release before this one did not keep when pages were seen: to fill that in is no drift.
changed as materialized (
    select
        n.*,
        coalesce(
            (s.ended_at, s.events, s.page_views, s.bounced) <> (n.ended_at, n.events, n.page_views, n.bounced)
            or (s.entry_page, s.exit_page) is distinct from (n.entry_page, n.exit_page),
            true
        ) as drifted
    from session_new as n
    left join there as s on n.session_id = s.session_id
    where
        s.session_id is null
        or (
            s.ended_at, s.events, s.page_views, s.entry_page, s.exit_page, s.bounced, s.entry_at, s.entry_position,
            s.exit_at, s.exit_position, s.merged_events
        ) is distinct from (
            n.ended_at, n.events, n.page_views, n.entry_page, n.exit_page, n.bounced, n.entry_at, n.entry_position,
            n.exit_at, n.exit_position, n.merged_events
        )
),

written as (
    insert into analytics.sessions as s (
        session_id, user_id, started_at, ended_at, events, page_views, entry_page, exit_page, bounced, entry_at,
        entry_position, exit_at, exit_position, merged_events
    )
    select
        c.session_id,
        c.user_id,
        c.started_at,
        c.ended_at,
        c.events,
        c.page_views,
        c.entry_page,
        c.exit_page,
        c.bounced,
        c.entry_at,
        c.entry_position,
        c.exit_at,
        c.exit_position,
        c.merged_events
    from changed as c
    order by c.user_id, c.started_at
    on conflict (session_id) do update
        set
            ended_at = excluded.ended_at,
            events = excluded.events,
            page_views = excluded.page_views,
            entry_page = excluded.entry_page,
            exit_page = excluded.exit_page,
            bounced = excluded.bounced,
            entry_at = excluded.entry_at,
            entry_position = excluded.entry_position,
            exit_at = excluded.exit_at,
            exit_position = excluded.exit_position,
            merged_events = excluded.merged_events
)

select
    (select count(*) from session_new) as all_rows,
    (select count(*) from removed)
    + (
        select count(*) from changed as c
        where c.drifted
    ) as drift
