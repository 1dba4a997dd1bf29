select
    o.topic_id,
    min(o.topic) as topic,
    count(*) as partitions,
    max(o.updated_at) as last_read_at,
    max(o.replaced_at) as replaced_at
from ops.offsets as o
group by o.topic_id
