-- What stands in raw.events under the keys of one partition's staged events.
select
    s.position,
    case
        when
            e.kafka_topic_id = s.kafka_topic_id
            and e.kafka_partition = s.kafka_partition
            and e.kafka_offset = s.kafka_offset
            then 'present'
        when e.type = s.type and e.payload = s.payload then 'duplicate'
        else 'conflict'
    end as verdict
from staged_events as s
inner join raw.events as e on s.occurred_at = e.occurred_at and s.event_id = e.event_id
where
    s.occurred_at >= %(low)s and s.occurred_at < %(high)s
    and e.occurred_at >= %(low)s and e.occurred_at < %(high)s
