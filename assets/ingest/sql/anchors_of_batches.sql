select distinct
    r.last_offset,
    r.last_digest
from ops.batch_ranges as r
where
    r.topic_id = %(topic_id)s and r.partition = %(partition)s and r.end_offset <= %(start)s
    and r.last_digest is not null
order by r.last_offset
