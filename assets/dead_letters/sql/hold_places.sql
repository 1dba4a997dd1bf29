-- The lock of the fence: while it is held nobody ingests, replays or redrives the partitions of these dead letters.
with places as (
    select distinct
        d.topic_id,
        d.partition
    from raw.dead_letters as d
    where d.dead_letter_id = any(%(ids)s)
)

select 1 as held
from ops.offsets as o
inner join places as p on o.topic_id = p.topic_id and o.partition = p.partition
order by o.topic_id, o.partition
for update of o
