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

written as (
    insert into analytics.sessions as s (
        session_id, user_id, started_at, ended_at, events, page_views, entry_page, exit_page, bounced
    )
    select
        n.session_id,
        n.user_id,
        n.started_at,
        n.ended_at,
        n.events,
        n.page_views,
        n.entry_page,
        n.exit_page,
        n.bounced
    from session_new as n
    where
        not exists (
            select 1 from analytics.sessions as same
            where
                same.session_id = n.session_id
                and (same.ended_at, same.events, same.page_views, same.bounced)
                = (n.ended_at, n.events, n.page_views, n.bounced)
                and (same.entry_page, same.exit_page) is not distinct from (n.entry_page, n.exit_page)
        )
    on conflict (session_id) do update
        set
            ended_at = excluded.ended_at,
            events = excluded.events,
            page_views = excluded.page_views,
            entry_page = excluded.entry_page,
            exit_page = excluded.exit_page,
            bounced = excluded.bounced
    returning 1
)

select
    (select count(*) from session_new) as all_rows,
    (select count(*) from removed) + (select count(*) from written) as drift
