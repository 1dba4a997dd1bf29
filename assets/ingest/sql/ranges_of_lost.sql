-- The range of the ledger that each record lies in. A record that the ledger does not know has none.
insert into lost_ranges (topic_id, partition, start_offset, end_offset, stored, dead_letters)
select
    l.topic_id,
    l.partition,
    r.start_offset,
    r.end_offset,
    count(*) filter (where l.outcome = 'stored') as stored,
    count(*) filter (where l.outcome = 'dead_letters') as dead_letters
from lost as l
cross join
    lateral (
        select
            x.start_offset,
            x.end_offset
        from ops.batch_ranges as x
        inner join ops.batches as b on x.batch_id = b.batch_id
        where
            x.topic_id = l.topic_id and x.partition = l.partition
            and x.end_offset > l.kafka_offset and x.start_offset <= l.kafka_offset
            and b.kind in ('ingest', 'closed')
        order by x.end_offset
        limit 1
    ) as r
group by l.topic_id, l.partition, r.start_offset, r.end_offset
