-- The sessions that what arrived makes together with the sessions that it touches. Two that an event joins become one.
insert into session_old (session_id, user_id)
select
    t.session_id,
    t.user_id
from session_touched as t;

insert into session_new (
    session_id, user_id, started_at, ended_at, events, page_views, entry_page, exit_page, bounced, entry_at,
    entry_position, exit_at, exit_position, merged_events
)
with items as (
    select
        i.user_id,
        i.started_at,
        i.ended_at,
        i.events,
        i.page_views,
        i.entry_at,
        i.entry_position,
        i.entry_page,
        i.exit_at,
        i.exit_position,
        i.exit_page
    from session_items as i
    union all
    select
        t.user_id,
        t.started_at,
        t.ended_at,
        t.events,
        t.page_views,
        t.entry_at,
        t.entry_position,
        t.entry_page,
        t.exit_at,
        t.exit_position,
        t.exit_page
    from session_touched as t
),

marked as (
    select
        i.*,
        -- As in sessions_compute: the first and the last page are a minimum and a maximum.
        encode(timestamptz_send(i.entry_at + interval '43829100 hours') || uuid_send(i.entry_position), 'hex')
        || i.entry_page collate "C" as entry,  -- noqa: RF03
        encode(timestamptz_send(i.exit_at + interval '43829100 hours') || uuid_send(i.exit_position), 'hex')
        || i.exit_page collate "C" as exit,  -- noqa: RF03
        i.started_at - max(i.ended_at) over (
            partition by i.user_id order by i.started_at, i.ended_at rows between unbounded preceding and 1 preceding
        ) > interval '30 minutes' as far
    from items as i
),

numbered as (
    select
        m.*,
        count(*) filter (where m.far) over (
            partition by m.user_id order by m.started_at, m.ended_at rows unbounded preceding
        ) as session
    from marked as m
)

select
    md5(n.user_id || '/' || (extract(epoch from min(n.started_at)) * 1000000)::bigint)::uuid as session_id,
    n.user_id,
    min(n.started_at) as started_at,
    max(n.ended_at) as ended_at,
    sum(n.events) as events,
    sum(n.page_views) as page_views,
    substr(min(n.entry), 49) as entry_page,
    substr(max(n.exit), 49) as exit_page,
    sum(n.events) = 1 and sum(n.page_views) = 1 as bounced,
    min(n.entry_at) as entry_at,
    substr(min(n.entry), 17, 32)::uuid as entry_position,
    max(n.exit_at) as exit_at,
    substr(max(n.exit), 17, 32)::uuid as exit_position,
    sum(n.events) as merged_events
from numbered as n
group by n.user_id, n.session
