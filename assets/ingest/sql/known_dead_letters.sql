-- The dead letters of some ranges, and what became of each at its last attempt.
select
    c.source,
    d.kafka_offset,
    d.dead_letter_id,
    d.status,
    d.code,
    d.reason,
    (
        select a.outcome from ops.dead_letter_attempts as a
        where a.dead_letter_id = d.dead_letter_id
        order by a.entry_id desc
        limit 1
    ) as outcome
from
    unnest(%(topic_ids)s::uuid[], %(partitions)s::integer[], %(starts)s::bigint[], %(ends)s::bigint[])
    with ordinality as c (topic_id, part, low, high, source)
inner join raw.dead_letters as d
    on
        c.topic_id = d.topic_id
        and c.part = d.partition
        and c.low <= d.kafka_offset
        and c.high > d.kafka_offset
