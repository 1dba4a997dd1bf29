-- The first batch becomes the sum; its number keeps the ledger's order.
update ops.batches as b
set
    run_id = %(run_id)s,
    lane = -1,
    kind = 'closed',
    path = 'closed',
    dedup_degraded = s.dedup_degraded,
    records = s.records,
    stored = s.stored,
    duplicates_redis = s.duplicates_redis,
    duplicates_postgres = s.duplicates_postgres,
    dead_letters = s.dead_letters,
    tombstones = s.tombstones,
    erased = s.erased,
    expired = s.expired,
    retries = s.retries,
    pull_seconds = s.pull_seconds,
    decode_seconds = s.decode_seconds,
    claim_seconds = s.claim_seconds,
    frame_seconds = s.frame_seconds,
    store_seconds = s.store_seconds,
    -- Of a sum no quantile can be told; the largest can.
    latency_p50_seconds = null,
    latency_p95_seconds = null,
    latency_max_seconds = s.latency_max_seconds,
    committed_at = s.committed_at,
    transactions = s.transactions
from (
    select
        bool_or(f.dedup_degraded) as dedup_degraded,
        sum(f.records) as records,
        sum(f.stored) as stored,
        sum(f.duplicates_redis) as duplicates_redis,
        sum(f.duplicates_postgres) as duplicates_postgres,
        sum(f.dead_letters) as dead_letters,
        sum(f.tombstones) as tombstones,
        sum(f.erased) as erased,
        sum(f.expired) as expired,
        sum(f.retries) as retries,
        sum(f.pull_seconds) as pull_seconds,
        sum(f.decode_seconds) as decode_seconds,
        sum(f.claim_seconds) as claim_seconds,
        sum(f.frame_seconds) as frame_seconds,
        sum(f.store_seconds) as store_seconds,
        max(f.latency_max_seconds) as latency_max_seconds,
        max(f.committed_at) as committed_at,
        sum(f.transactions) as transactions
    from ops.batches as f
    where f.batch_id between %(first)s and %(last)s
) as s
where b.batch_id = %(first)s
