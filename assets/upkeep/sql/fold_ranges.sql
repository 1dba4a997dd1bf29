-- One range a partition: from where the first batch began to where the last one ended. Batches that move no offset
-- add their differences only; where there is nothing else the range is empty.
with folded as (
    delete from ops.batch_ranges as r
    using ops.batches as b
    where b.batch_id = r.batch_id and r.batch_id between %(first)s and %(last)s
    returning r.*, b.kind in ('ingest', 'closed') and r.start_offset <> r.end_offset as moves
)

insert into ops.batch_ranges (
    batch_id, topic_id, partition, start_offset, end_offset, records, stored, duplicates, dead_letters, tombstones,
    erased, expired
)
select
    %(first)s as batch_id,
    f.topic_id,
    f.partition,
    coalesce((array_agg(f.start_offset order by f.batch_id) filter (where f.moves))[1], min(f.start_offset)) as start_offset,
    coalesce((array_agg(f.end_offset order by f.batch_id desc) filter (where f.moves))[1], min(f.start_offset)) as end_offset,
    sum(f.records) as records,
    sum(f.stored) as stored,
    sum(f.duplicates) as duplicates,
    sum(f.dead_letters) as dead_letters,
    sum(f.tombstones) as tombstones,
    sum(f.erased) as erased,
    sum(f.expired) as expired
from folded as f
group by f.topic_id, f.partition
