-- From now on records of the users below these offsets are erased on arrival. It never takes back what was asked before.
insert into ops.erasures as x (user_hash, topic_id, partition, up_to_offset)
with users as (
    select u.one as user_hash
    from unnest(%(keys)s::bytea[]) as u (one)
)

select
    h.user_hash,
    c.topic_id,
    c.part,
    c.up_to
from unnest(%(topic_ids)s::uuid[], %(partitions)s::integer[], %(up_to)s::bigint[]) as c (topic_id, part, up_to)
cross join users as h
order by h.user_hash, c.topic_id, c.part
on conflict (user_hash, topic_id, partition) do update
    set up_to_offset = greatest(x.up_to_offset, excluded.up_to_offset), erased_at = now()
