-- Sessions of the staged events and of all events of [low, high), which is empty where everything is staged.
insert into session_new (
    session_id, user_id, started_at, ended_at, events, page_views, entry_page, exit_page, bounced
)
with gathered as (
    select
        s.user_id,
        s.occurred_at,
        s.kafka_topic_id,
        s.kafka_partition,
        s.kafka_offset,
        s.viewed,
        s.page
    from session_events as s
    union all
    select
        e.user_id,
        e.occurred_at,
        e.kafka_topic_id,
        e.kafka_partition,
        e.kafka_offset,
        e.type = 'page_view' as viewed,
        case when e.type = 'page_view' then e.payload ->> 'page' end as page
    from raw.events as e
    where
        e.occurred_at >= %(low)s and e.occurred_at < %(high)s
        and e.user_id not in (select f.user_id from session_frozen as f)
),

marked as (
    select
        g.user_id,
        g.occurred_at,
        g.kafka_topic_id,
        g.kafka_partition,
        g.kafka_offset,
        g.viewed,
        g.page,
        row_number() over in_order as position,
        g.occurred_at - lag(g.occurred_at) over in_order > interval '30 minutes' as begins
    from gathered as g
    window in_order as (
        partition by g.user_id order by g.occurred_at, g.kafka_topic_id, g.kafka_partition, g.kafka_offset
    )
),

numbered as (
    select
        m.user_id,
        m.occurred_at,
        m.viewed,
        -- Of fixed width before the page, so that the first and the last page are a minimum and a maximum: no array
        -- of all pages, whatever the length of a session.
        (1000000000000 + m.position)::text || m.page collate "C" as page,  -- noqa: RF03
        count(*) filter (where m.begins) over (
            partition by m.user_id
            order by m.occurred_at, m.kafka_topic_id, m.kafka_partition, m.kafka_offset rows unbounded preceding
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
    substr(min(n.page), 14) as entry_page,
    substr(max(n.page), 14) as exit_page,
    count(*) = 1 and bool_and(n.viewed) as bounced
from numbered as n
group by n.user_id, n.session
