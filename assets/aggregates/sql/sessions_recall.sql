-- When and in which order the first and the last page of touched sessions were seen, of sessions that a release before
-- this one wrote or changed: read once from their events, without those of marks that wait, which they do not hold yet.
with there as materialized (  -- noqa: ST03
    select
        e.*,
        s.session_id,
        date_trunc('hour', e.occurred_at, 'UTC') as hour
    from session_touched as s
    cross join
        lateral (
            select
                r.event_id,
                r.occurred_at,
                r.kafka_topic_id,
                r.kafka_partition,
                r.kafka_offset
            from raw.events as r
            where
                r.user_id = s.user_id and r.type = 'page_view'
                and r.occurred_at >= s.started_at and r.occurred_at <= s.ended_at
                and r.occurred_at >= %(low)s and r.occurred_at <= %(high)s
            offset 0  -- noqa: AM09
        ) as e
    where s.merged_events is distinct from s.events
)  -- settled

update session_touched as t
set
    entry_at = f.entry_at,
    entry_position = f.entry_position,
    exit_at = f.exit_at,
    exit_position = f.exit_position
from (
    select
        p.session_id,
        min(p.occurred_at) as entry_at,
        substr(min(p.place), 20)::uuid as entry_position,
        max(p.occurred_at) as exit_at,
        substr(max(p.place), 20)::uuid as exit_position
    from (
        select
            e.session_id,
            e.occurred_at,
            (
                (4000000000000000000 + (extract(epoch from e.occurred_at) * 1000000)::bigint)::text
                || ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset)::text
            ) collate "C" as place  -- noqa: RF03
        from settled as e
    ) as p
    group by p.session_id
) as f
where t.session_id = f.session_id
