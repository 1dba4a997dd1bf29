-- What the hourly tables hold already of the users who came in hours that are not tracked: their other events in these
-- hours, without those of marks that wait. An hour without rows in events_hourly, which is whole, holds nothing. Each user
-- and hour is one index range (`offset 0` keeps the lookup a lookup): joined by the user alone, one who has half of all
-- events would be all hours' times all.
insert into earlier (hour, type, user_id, payload)
select
    e.hour,
    e.type,
    e.user_id,
    e.payload
from (
    select
        u.hour,
        r.*
    from (
        select distinct
            a.hour,
            a.user_id
        from arrived as a
        where
            a.hour not in (
                select t.hour from arrived_hours as t
                where t.tracked
            )
            and (
                a.hour in (
                    select h.hour from analytics.events_hourly as h
                    where h.hour >= %(low)s and h.hour < %(high)s
                )
                -- But for days that events_hourly itself lacks: what the other tables hold of these is looked up always.
                or a.day <@ any(
                    select g.missing from ops.aggregate_history as g
                    where g.name = 'events_hourly'
                )
            )
    ) as u
    cross join
        lateral (
            select
                r.event_id,
                r.type,
                r.user_id,
                r.payload,
                r.kafka_topic_id,
                r.kafka_partition,
                r.kafka_offset
            from raw.events as r
            where
                r.user_id = u.user_id and r.occurred_at >= u.hour and r.occurred_at < u.hour + interval '1 hour'
                and r.occurred_at >= %(low)s and r.occurred_at < %(high)s
            offset 0  -- noqa: AM09
        ) as r
) as e
where
    not exists (
        select 1 from spans as s
        where
            s.hour = e.hour and s.topic_id = e.kafka_topic_id and s.partition = e.kafka_partition
            and e.kafka_offset <@ s.offsets
    )
    and not exists (
        select 1 from listed as l
        where l.hour = e.hour and l.event_id = e.event_id
    )
