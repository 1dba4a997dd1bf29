-- Sessions of the staged events and of all events of [low, high), which is empty where everything is staged.
insert into session_new (
    session_id, user_id, started_at, ended_at, events, page_views, entry_page, exit_page, bounced, entry_at,
    entry_position, exit_at, exit_position, merged_events
)
with gathered as (
    select
        s.user_id,
        s.occurred_at,
        s.viewed,
        uuid_send(s.position) as position,
        s.page
    from session_events as s
    union all
    select
        e.user_id,
        e.occurred_at,
        e.type = 'page_view' as viewed,
        case
            when e.type = 'page_view'  -- the bytes of ops.kafka_position
                then
                    substr(uuid_send(e.kafka_topic_id), 1, 4) || int4send(e.kafka_partition) || int8send(e.kafka_offset)
        end as position,
        case when e.type = 'page_view' then e.payload ->> 'page' end as page
    from raw.events as e
    where
        e.occurred_at >= %(low)s and e.occurred_at < %(high)s
        and e.user_id not in (select f.user_id from session_frozen as f)
),

marked as (
    select
        g.*,
        g.occurred_at - lag(g.occurred_at) over (
            partition by g.user_id order by g.occurred_at
        ) > interval '30 minutes' as begins
    from gathered as g
),

numbered as (
    select
        m.user_id,
        m.occurred_at,
        m.viewed,
        -- Time and position stand before the page in fixed width, so that the first and the last page are a minimum
        -- and a maximum: no array of all pages, whatever the length of a session. 5000 years on, no time is negative.
        encode(timestamptz_send(m.occurred_at + interval '43829100 hours') || m.position, 'hex')
        || m.page collate "C" as page,  -- noqa: RF03
        count(*) filter (where m.begins) over (
            partition by m.user_id order by m.occurred_at rows unbounded preceding
        ) as session
    from marked as m
)

select
    md5(n.user_id || '/' || (extract(epoch from min(n.occurred_at)) * 1000000)::bigint)::uuid as session_id,
    n.user_id,
    min(n.occurred_at) as started_at,
    max(n.occurred_at) as ended_at,
    count(*) as events,
    count(*) filter (where n.viewed) as page_views,
    substr(min(n.page), 49) as entry_page,
    substr(max(n.page), 49) as exit_page,
    count(*) = 1 and bool_and(n.viewed) as bounced,
    min(n.occurred_at) filter (where n.viewed) as entry_at,
    substr(min(n.page), 17, 32)::uuid as entry_position,
    max(n.occurred_at) filter (where n.viewed) as exit_at,
    substr(max(n.page), 17, 32)::uuid as exit_position,
    count(*) as merged_events
from numbered as n
group by n.user_id, n.session
