create table ops.totals (
    metric text not null,
    labels text[] not null,
    lane integer not null,
    amount double precision not null,
    changed_at timestamptz default clock_timestamp() not null,
    constraint totals_pkey primary key (metric, labels, lane)
) with (fillfactor = 50);
comment on table ops.totals is 'The totals behind the counters of the metrics, each added in the transaction that it counts.';
comment on column ops.totals.metric is 'Name of the metric';
comment on column ops.totals.labels is 'Values of its labels; of a histogram also the bucket''s upper bound, or sum';
comment on column ops.totals.lane is 'The lane that counted; -1 for what no lane does';
comment on column ops.totals.amount is 'The total; it only grows';
comment on column ops.totals.changed_at is 'When it grew last';

create table ops.failure_causes (
    job text not null,
    cause text not null,
    runs bigint not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    last_run_id text not null,
    reported_at timestamptz,
    constraint failure_causes_pkey primary key (job, cause)
);
comment on table ops.failure_causes is 'Why runs failed, a row a cause: what the sensor run_failures reports once, not once a run.';
comment on column ops.failure_causes.job is 'The Dagster job';
comment on column ops.failure_causes.cause is 'Why its runs failed: a class of failures, never the text of an error';
comment on column ops.failure_causes.runs is 'How many runs failed of it, ever';
comment on column ops.failure_causes.first_at is 'When the first of them failed';
comment on column ops.failure_causes.last_at is 'When the last of them failed';
comment on column ops.failure_causes.last_run_id is 'That run';
comment on column ops.failure_causes.reported_at is 'When it was reported last: once, until it has been quiet for a while';

create table ops.failed_runs (
    run_id text not null,
    job text not null,
    cause text not null,
    failed_at timestamptz not null,
    constraint failed_runs_pkey primary key (run_id)
);
create index failed_runs_failed_at_idx on ops.failed_runs (failed_at);
comment on table ops.failed_runs is 'Failed runs that are counted in failure_causes already; kept as long as Dagster keeps failed runs.';
comment on column ops.failed_runs.run_id is 'The Dagster run';
comment on column ops.failed_runs.job is 'Its job';
comment on column ops.failed_runs.cause is 'Its cause';
comment on column ops.failed_runs.failed_at is 'When it failed';


-- Where the totals begin: with what the ledger has counted so far. Of latencies it has no sums that could be told.
insert into ops.totals (metric, labels, lane, amount)
select 'millrace_events_total', array['stored', m.type], -1, sum(m.events)
from analytics.events_minutely as m
group by m.type
having sum(m.events) > 0;

insert into ops.totals (metric, labels, lane, amount)
select s.metric, s.labels, -1, s.amount
from (
    select
        sum(duplicates_redis) as by_redis,
        sum(duplicates_postgres) as by_postgres,
        sum(tombstones) as tombstones,
        sum(erased) as erased,
        sum(expired) as expired,
        sum(transactions) filter (where kind in ('ingest', 'closed')) as transactions
    from ops.batches
) as b
cross join lateral (
    values
    ('millrace_events_total', array['duplicate', 'none'], b.by_redis + b.by_postgres),
    ('millrace_events_total', array['tombstone', 'none'], b.tombstones),
    ('millrace_events_total', array['erased', 'none'], b.erased),
    ('millrace_events_total', array['expired', 'none'], b.expired),
    ('millrace_duplicates_total', array['redis'], b.by_redis),
    ('millrace_duplicates_total', array['postgres'], b.by_postgres),
    ('millrace_batches_total', array['committed'], b.transactions)
) as s (metric, labels, amount)
where s.amount > 0;

insert into ops.totals (metric, labels, lane, amount)
select 'millrace_rejections_total', array[l.code], -1, count(*)
from raw.dead_letters as l
group by l.code;

insert into ops.totals (metric, labels, lane, amount)
select 'millrace_events_total', array['dead_letter', 'none'], -1, count(*)
from raw.dead_letters
having count(*) > 0;
