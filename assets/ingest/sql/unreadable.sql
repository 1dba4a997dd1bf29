-- A partition that moved since, or whose topic was re-created, is readable, or will be found anew.
select
    u.topic,
    u.topic_id,
    u.partition,
    u.at_offset,
    u.error,
    u.since,
    extract(epoch from now() - u.seen_at)::float8 as age
from ops.unreadable_partitions as u
left join ops.offsets as o on u.topic_id = o.topic_id and u.partition = o.partition
where coalesce(o.next_offset, u.at_offset) = u.at_offset and o.replaced_at is null
order by u.topic, u.partition
