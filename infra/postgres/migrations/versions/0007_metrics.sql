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
comment on column ops.totals.lane is 'The lane that counted; -1: what no lane does, -2: what was told of ended runs';
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
select
    'millrace_events_total' as metric,
    array['stored', m.type] as labels,
    -1 as lane,
    sum(m.events) as amount
from analytics.events_minutely as m
group by m.type
having sum(m.events) > 0;

with ledger as (
    select
        sum(b.duplicates_redis) as by_redis,
        sum(b.duplicates_postgres) as by_postgres,
        sum(b.tombstones) as tombstones,
        sum(b.erased) as erased,
        sum(b.expired) as expired,
        sum(b.transactions) filter (where b.kind in ('ingest', 'closed')) as transactions
    from ops.batches as b
)

insert into ops.totals (metric, labels, lane, amount)
select
    s.metric,
    s.labels,
    -1 as lane,
    s.amount
from ledger as l
cross join
    lateral (
        values
        ('millrace_events_total', array['duplicate', 'none'], l.by_redis + l.by_postgres),
        ('millrace_events_total', array['tombstone', 'none'], l.tombstones),
        ('millrace_events_total', array['erased', 'none'], l.erased),
        ('millrace_events_total', array['expired', 'none'], l.expired),
        ('millrace_duplicates_total', array['redis'], l.by_redis),
        ('millrace_duplicates_total', array['postgres'], l.by_postgres),
        ('millrace_batches_total', array['committed'], l.transactions)
    ) as s (metric, labels, amount)
where s.amount > 0;

insert into ops.totals (metric, labels, lane, amount)
select
    'millrace_rejections_total' as metric,
    array[l.code] as labels,
    -1 as lane,
    count(*) as amount
from raw.dead_letters as l
group by l.code;

insert into ops.totals (metric, labels, lane, amount)
select
    'millrace_events_total' as metric,
    array['dead_letter', 'none'] as labels,
    -1 as lane,
    count(*) as amount
from raw.dead_letters
having count(*) > 0;

-- A letter that is tried again has a history; only a redrive's runs are named so.
insert into ops.totals (metric, labels, lane, amount)
select
    'millrace_redrives_total' as metric,
    array[a.outcome] as labels,
    -1 as lane,
    count(*) as amount
from ops.dead_letter_attempts as a
where a.run_id like 'redrive-%'
group by a.outcome;

insert into ops.totals (metric, labels, lane, amount)
select
    'millrace_gaps_total' as metric,
    array[g.reason] as labels,
    -1 as lane,
    count(*) as amount
from ops.gaps as g
group by g.reason;

insert into ops.totals (metric, labels, lane, amount)
select
    'millrace_gap_offsets_total' as metric,
    array[]::text[] as labels,
    -1 as lane,
    sum(g.end_offset - g.start_offset) as amount
from ops.gaps as g
having sum(g.end_offset - g.start_offset) > 0;
