delete from ops.unreadable_partitions as u
using ops.offsets as o
where u.topic_id = o.topic_id and u.partition = o.partition and u.at_offset <> o.next_offset
