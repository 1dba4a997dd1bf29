-- The next events of the users whose session has not ended yet, away from the range; without those of marks that wait:
-- these join the session when they are taken in.
insert into session_events (user_id, occurred_at, viewed, position, page)
select
    e.user_id,
    e.occurred_at,
    e.type = 'page_view' as viewed,
    case
        when e.type = 'page_view' then ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset)
    end as position,
    case when e.type = 'page_view' then e.payload ->> 'page' end as page
from session_edges as x
inner join raw.events as e on x.user_id = e.user_id and x.floor < e.occurred_at
where
    x.open and e.occurred_at >= %(low)s and e.occurred_at < %(high)s
    and not exists (
        select 1 from ops.dirty_buckets as d
        where
            d.hour = date_trunc('hour', e.occurred_at, 'UTC')
            and (
                e.event_id = any(d.event_ids)
                or exists (
                    select 1 from ops.batch_ranges as b
                    where
                        b.batch_id = d.batch_id and b.topic_id = e.kafka_topic_id
                        and b.partition = e.kafka_partition
                        and b.start_offset <= e.kafka_offset and b.end_offset > e.kafka_offset
                )
            )
    )
