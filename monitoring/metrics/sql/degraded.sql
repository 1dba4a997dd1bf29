-- Whether the newest batch of the ingest had to do without Redis; nothing when there is none of late.
select b.dedup_degraded
from ops.batches as b
where b.kind = 'ingest' and b.committed_at > clock_timestamp() - interval '30 seconds'
order by b.committed_at desc
limit 1
