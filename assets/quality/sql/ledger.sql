-- The ledger by batch, the ledger by partition, and the tables that it is about.
with batches as (
    select
        coalesce(sum(b.records), 0)::bigint as records,
        coalesce(sum(b.stored), 0)::bigint as stored,
        coalesce(sum(b.duplicates_redis + b.duplicates_postgres), 0)::bigint as duplicates,
        coalesce(sum(b.dead_letters), 0)::bigint as dead_letters
    from ops.batches as b
),

ranges as (
    select
        coalesce(sum(r.records), 0)::bigint as range_records,
        coalesce(sum(r.stored), 0)::bigint as range_stored,
        coalesce(sum(r.duplicates), 0)::bigint as range_duplicates
    from ops.batch_ranges as r
),

counted as (
    select coalesce(sum(m.events), 0)::bigint as counted_events
    from analytics.events_minutely as m
),

kept as (
    select count(*) as kept_dead_letters
    from raw.dead_letters as d
    where d.status <> 'resolved'
)

select
    batches.*,
    ranges.*,
    counted.*,
    kept.*
from batches
cross join ranges
cross join counted
cross join kept
