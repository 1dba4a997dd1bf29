select
    o.topic_id,
    o.partition,
    o.next_offset
from ops.offsets as o
