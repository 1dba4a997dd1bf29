-- The batches below this one may be folded: old enough, and no pending mark needs the offsets of any of them.
select
    least(
        coalesce(
            (
                select b.batch_id from ops.batches as b
                where b.committed_at >= %(cutoff)s
                order by b.committed_at, b.batch_id
                limit 1
            ),
            (select max(b.batch_id) + 1 from ops.batches as b)
        ),
        (select min(m.batch_id) from ops.dirty_buckets as m)
    ) as below,
    (
        select max(b.batch_id) from ops.batches as b
        where b.kind = 'closed'
    ) as last_closed
