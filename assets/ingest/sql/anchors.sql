select
    o.topic_id,
    o.partition,
    o.last_offset,
    o.last_digest
from
    unnest(%(topic_ids)s::uuid[], %(partitions)s::integer[], %(starts)s::bigint[]) as c (topic_id, part, low)
inner join ops.offsets as o
    on c.topic_id = o.topic_id and c.part = o.partition and c.low = o.next_offset and c.low > o.last_offset
where o.last_digest is not null and o.replaced_at is null
