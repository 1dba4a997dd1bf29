-- Ended runs by job and result: those that were trimmed, which are totals by now, and those that are still there. One
-- statement, so that a run that is trimmed meanwhile is seen once. A run that somebody deletes by hand, or whose status
-- is corrected, must not make a counter smaller: what was told once is kept, as the lane -2, and never told less.
with counted as (
    select
        e.labels,
        sum(e.amount) as amount
    from (
        select
            t.labels,
            t.amount
        from ops.totals as t
        where t.metric = 'millrace_runs_total' and t.lane >= -1
        union all
        select
            array[r.pipeline_name, lower(r.status)] as labels,
            count(*) as amount
        from dagster.runs as r
        where r.status in ('SUCCESS', 'FAILURE', 'CANCELED')
        group by r.pipeline_name, r.status
    ) as e
    group by e.labels
),

told as (
    select
        t.labels,
        t.amount
    from ops.totals as t
    where t.metric = 'millrace_runs_total' and t.lane = -2
),

kept as (
    insert into ops.totals as t (metric, labels, lane, amount)
    select
        'millrace_runs_total' as metric,
        c.labels,
        -2 as lane,
        c.amount
    from counted as c
    on conflict (metric, labels, lane) do update
        set amount = excluded.amount, changed_at = clock_timestamp()
        where t.amount < excluded.amount
)

select
    (coalesce(c.labels, t.labels))[1] as run_job,
    (coalesce(c.labels, t.labels))[2] as result,
    greatest(c.amount, t.amount) as runs
from counted as c
full join told as t on c.labels = t.labels
