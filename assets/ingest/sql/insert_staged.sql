-- What is new of one partition's events; among equals the record that came first. `foreign` are those whose id was
-- claimed under another time: they come after the rest, when the owner of the claim had its turn.
insert into raw.events (
    event_id, occurred_at, type, user_id, payload, source_event_id, kafka_topic_id, kafka_partition, kafka_offset
)
select distinct on (s.occurred_at, s.event_id)
    s.event_id,
    s.occurred_at,
    s.type,
    s.user_id,
    s.payload,
    s.source_event_id,
    s.kafka_topic_id,
    s.kafka_partition,
    s.kafka_offset
from staged_events as s
where
    s.occurred_at >= %(low)s and s.occurred_at < %(high)s
    and (coalesce(s.claimed_at, s.occurred_at) <> s.occurred_at) = %(foreign)s
order by s.occurred_at, s.event_id, s.position
on conflict (occurred_at, event_id) do nothing
returning kafka_topic_id, kafka_partition, kafka_offset
