select
    e.user_hash,
    e.topic_id,
    e.partition,
    e.up_to_offset
from unnest(%(user_hashes)s::bytea[]) as c (user_hash)
inner join ops.erasures as e on c.user_hash = e.user_hash
