-- Up to the first record that is known to be another the new log may hold what was erased.
insert into ops.erasures (user_hash, topic_id, partition, up_to_offset, erased_at)
select
    e.user_hash,
    %(log_id)s as topic_id,
    e.partition,
    least(e.up_to_offset, %(differs)s) as up_to_offset,
    e.erased_at
from ops.erasures as e
where e.topic_id = %(topic_id)s and e.partition = %(partition)s
on conflict do nothing
