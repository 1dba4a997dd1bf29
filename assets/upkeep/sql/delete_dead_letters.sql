-- Dead letters that were resolved go. Discarded ones keep their coordinates and their code, or their records would be
-- missing from the ledger; what they held goes. Both only where the ledger is folded: a replay asks for dead letters.
with closed as materialized (
    select
        r.topic_id,
        r.partition,
        max(r.end_offset) as up_to
    from ops.batches as b
    inner join ops.batch_ranges as r on b.batch_id = r.batch_id
    where b.kind = 'closed'
    group by r.topic_id, r.partition
),

old as (
    select
        d.dead_letter_id,
        d.status
    from raw.dead_letters as d
    where
        d.status <> 'open'
        and d.value is not null
        and d.last_attempt_at < %(before)s
        and exists (
            select 1 from closed as c
            where c.topic_id = d.topic_id and c.partition = d.partition and c.up_to > d.kafka_offset
        )
    order by d.last_attempt_at
    limit %(most)s
    for update skip locked
),

emptied as (
    update raw.dead_letters as d
    set key = null, value = null, header_names = '{}', header_values = '{}', reason = ''
    from old as o
    where o.dead_letter_id = d.dead_letter_id and o.status = 'discarded'
    returning d.dead_letter_id
),

forgotten as (
    delete from ops.dead_letter_attempts as a
    using old as o
    where o.dead_letter_id = a.dead_letter_id and o.status = 'discarded'
),

deleted as (
    delete from raw.dead_letters as d
    using old as o
    where o.dead_letter_id = d.dead_letter_id and o.status = 'resolved'
    returning d.dead_letter_id
)

select
    (select count(*) from deleted) as deleted,
    (select count(*) from emptied) as emptied
