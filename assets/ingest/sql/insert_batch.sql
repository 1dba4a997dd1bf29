insert into ops.batches (
    run_id, lane, kind, path, dedup_degraded, records, stored, duplicates_redis, duplicates_postgres, dead_letters,
    tombstones, erased, expired, retries, pull_seconds, decode_seconds, claim_seconds, frame_seconds, store_seconds,
    latency_p50_seconds, latency_p95_seconds, latency_max_seconds
)
values (
    %(run_id)s, %(lane)s, %(kind)s, %(path)s, %(dedup_degraded)s, %(records)s, %(stored)s, %(duplicates_redis)s,
    %(duplicates_postgres)s, %(dead_letters)s, %(tombstones)s, %(erased)s, %(expired)s, %(retries)s, %(pull)s,
    %(decode)s, %(claim)s, %(frame)s, %(store)s, %(p50)s, %(p95)s, %(max)s
)
returning batch_id
