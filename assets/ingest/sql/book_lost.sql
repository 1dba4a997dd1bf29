with lost_total as (
    select
        coalesce(sum(l.stored), 0)::bigint as stored,
        coalesce(sum(l.dead_letters), 0)::bigint as dead_letters,
        (%(becomes)s = 'erased')::int as erases
    from lost_ranges as l
),

batch as (
    insert into ops.batches (
        run_id, lane, kind, path, dedup_degraded, records, stored, duplicates_redis, duplicates_postgres, dead_letters,
        tombstones, erased, expired, retries, pull_seconds, decode_seconds, claim_seconds, frame_seconds, store_seconds
    )
    select
        %(author)s as run_id,
        -1 as lane,
        %(booking)s as kind,
        'none' as path,
        false as dedup_degraded,
        0 as records,
        -t.stored as stored,
        0 as duplicates_redis,
        0 as duplicates_postgres,
        -t.dead_letters as dead_letters,
        0 as tombstones,
        (t.stored + t.dead_letters) * t.erases as erased,
        (t.stored + t.dead_letters) * (1 - t.erases) as expired,
        0 as retries,
        0 as pull_seconds,
        0 as decode_seconds,
        0 as claim_seconds,
        0 as frame_seconds,
        0 as store_seconds
    from lost_total as t
    where t.stored + t.dead_letters > 0
    returning batch_id
),

ranges as (
    insert into ops.batch_ranges (
        batch_id, topic_id, partition, start_offset, end_offset, records, stored, duplicates, dead_letters, tombstones,
        erased, expired
    )
    select
        b.batch_id,
        l.topic_id,
        l.partition,
        l.start_offset,
        max(l.end_offset) as end_offset,
        0 as records,
        -sum(l.stored) as stored,
        0 as duplicates,
        -sum(l.dead_letters) as dead_letters,
        0 as tombstones,
        sum(l.stored + l.dead_letters) * t.erases as erased,
        sum(l.stored + l.dead_letters) * (1 - t.erases) as expired
    from lost_ranges as l
    cross join batch as b
    cross join lost_total as t
    group by b.batch_id, t.erases, l.topic_id, l.partition, l.start_offset
)

select
    t.stored,
    t.dead_letters
from lost_total as t
