-- Counts each failed run once, whoever else is at it: only what is really inserted is added to its cause. A run that the
-- trimming has taken meanwhile, or that has ended well after all, is left out; `for key share` keeps the trimming away
-- until COMMIT. A cause is reported when it is new or was quiet for a while.
with failed as (
    select
        r.run_id,
        n.job,
        n.cause,
        n.failed_at
    from
        unnest(%(runs)s::text[], %(jobs)s::text[], %(causes)s::text[], %(times)s::timestamptz[])
            as n (run_id, job, cause, failed_at)
    inner join dagster.runs as r on n.run_id = r.run_id
    where r.status = 'FAILURE'
    for key share of r
),

counted as (
    insert into ops.failed_runs as f (run_id, job, cause, failed_at)
    select
        n.run_id,
        n.job,
        n.cause,
        n.failed_at
    from failed as n
    order by n.run_id
    on conflict (run_id) do nothing
    returning f.run_id, f.job, f.cause, f.failed_at
),

by_cause as (
    select
        c.job,
        c.cause,
        count(*) as runs,
        min(c.failed_at) as first_at,
        max(c.failed_at) as last_at,
        (array_agg(c.run_id order by c.failed_at desc, c.run_id desc))[1] as last_run_id
    from counted as c
    group by c.job, c.cause
),

written as (
    insert into ops.failure_causes as w (job, cause, runs, first_at, last_at, last_run_id, reported_at)
    select
        b.job,
        b.cause,
        b.runs,
        b.first_at,
        b.last_at,
        b.last_run_id,
        now() as reported_at
    from by_cause as b
    order by b.job, b.cause
    on conflict (job, cause) do update
        set
            runs = w.runs + excluded.runs,
            first_at = least(w.first_at, excluded.first_at),
            last_at = greatest(w.last_at, excluded.last_at),
            last_run_id = case when excluded.last_at >= w.last_at then excluded.last_run_id else w.last_run_id end,
            reported_at = case
                when w.reported_at is null or excluded.first_at - w.last_at >= %(quiet)s then excluded.reported_at
                else w.reported_at
            end
    returning w.job, w.cause, w.reported_at
)

select
    b.job,
    b.cause,
    b.runs,
    b.first_at,
    b.last_run_id,
    w.reported_at = now() as reported
from by_cause as b
inner join written as w on b.job = w.job and b.cause = w.cause
order by b.job, b.cause
