-- Dead letters that are to be tried, and the range of the ledger that each belongs to; none if it has none.
with chosen as (
    select * from raw.dead_letters
    where dead_letter_id = any(%(ids)s) and status = any(%(statuses)s) and run_id <> %(by)s and value is not null
)

select
    d.dead_letter_id,
    d.topic,
    d.topic_id,
    d.partition,
    d.kafka_offset,
    d.key,
    d.value,
    d.header_names,
    d.header_values,
    d.kafka_timestamp,
    d.code,
    d.reason,
    d.status,
    recorded.start_offset,
    recorded.end_offset
from chosen as d
left join lateral (
    select
        r.start_offset,
        r.end_offset
    from ops.batch_ranges as r
    inner join ops.batches as b on r.batch_id = b.batch_id
    where
        b.kind in ('ingest', 'closed')
        and r.topic_id = d.topic_id
        and r.partition = d.partition
        and r.start_offset <= d.kafka_offset
        and r.end_offset > d.kafka_offset
    order by r.end_offset asc, r.batch_id desc
    limit 1
) as recorded on true
order by d.topic_id, d.partition, d.kafka_offset
