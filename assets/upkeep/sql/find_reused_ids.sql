-- Events that were stored on the day under an id that an earlier event has. Both happened between low and high, whose
-- partitions are read twice and joined by a hash. Of more than two under one id the first stored counts as first.
with later as (
    select
        e.event_id,
        e.occurred_at,
        e.type,
        e.ingested_at
    from raw.events as e
    where
        e.occurred_at >= %(low)s and e.occurred_at < %(high)s
        and e.ingested_at >= %(day)s and e.ingested_at < %(next_day)s
),

reused as (
    select distinct on (later.event_id, later.occurred_at)
        later.event_id,
        later.occurred_at,
        f.occurred_at as first_occurred_at,
        later.type,
        f.type as first_type
    from later
    inner join raw.events as f
        on
            later.event_id = f.event_id
            and (later.ingested_at, later.occurred_at) > (f.ingested_at, f.occurred_at)
    where f.occurred_at >= %(low)s and f.occurred_at < %(high)s
    order by later.event_id asc, later.occurred_at asc, f.ingested_at asc, f.occurred_at asc
),

written as (
    insert into ops.reused_ids (event_id, occurred_at, first_occurred_at, type, first_type)
    select
        r.event_id,
        r.occurred_at,
        r.first_occurred_at,
        r.type,
        r.first_type
    from reused as r
    order by r.event_id asc, r.occurred_at asc
    limit %(most)s
    on conflict (event_id, occurred_at) do nothing
    returning 1 as one
)

select
    (select count(*) from reused) as found,
    (select count(distinct r.event_id) from reused as r) as ids,
    (select count(*) from written) as written
