select
    b.batch_id,
    b.committed_at,
    b.kind = 'closed' as closed,
    exists(
        select 1 from ops.batch_ranges as r
        where r.batch_id = b.batch_id and r.end_offset < r.start_offset
    ) as backwards
from ops.batches as b
where b.batch_id >= %(start)s and b.batch_id < %(below)s
order by b.batch_id
limit %(most)s
