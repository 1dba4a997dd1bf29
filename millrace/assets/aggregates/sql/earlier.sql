-- What the hourly tables hold already of the users who came: their other events in these hours, without those of marks
-- that wait. An hour without rows in events_hourly holds nothing.
insert into earlier (hour, type, user_id, payload)
select
    u.hour,
    e.type,
    e.user_id,
    e.payload
from (
    select distinct
        a.hour,
        a.user_id
    from arrived as a
    where a.hour in (
        select h.hour from analytics.events_hourly as h
        where h.hour >= %(low)s and h.hour < %(high)s
    )
) as u
inner join raw.events as e
    on u.user_id = e.user_id and u.hour <= e.occurred_at and e.occurred_at < u.hour + interval '1 hour'
where
    e.occurred_at >= %(low)s and e.occurred_at < %(high)s
    and not exists (
        select 1 from spans as s
        where
            s.hour = u.hour and s.topic_id = e.kafka_topic_id and s.partition = e.kafka_partition
            and e.kafka_offset <@ s.offsets
    )
    and (u.hour, e.event_id) not in (select
        l.hour,
        l.event_id
    from listed as l)
