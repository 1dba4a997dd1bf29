create table ops.retention_frontier (
    one boolean default true not null,
    frontier timestamptz not null,
    moved_at timestamptz default now() not null,
    constraint retention_frontier_pkey primary key (one),
    constraint retention_frontier_one_check check (one)
);
comment on table ops.retention_frontier is 'Up to where raw events were dropped. No row, or -infinity: nothing was.';
comment on column ops.retention_frontier.one is 'There is one row';
comment on column ops.retention_frontier.frontier is 'Raw events before it were dropped; nothing before it changes any more';
comment on column ops.retention_frontier.moved_at is 'When it moved last';

create table ops.erasures (
    user_hash bytea not null,
    topic_id uuid not null,
    partition integer not null,
    up_to_offset bigint not null,
    erased_at timestamptz default now() not null,
    constraint erasures_pkey primary key (user_hash, topic_id, partition)
);
create index erasures_coordinates_idx on ops.erasures (topic_id, partition, up_to_offset);
comment on table ops.erasures is 'Who is to stay erased: a replay counts such records as erased instead of bringing them back.';
comment on column ops.erasures.user_hash is 'Keyed hash of the user''s id; the id itself is nowhere kept';
comment on column ops.erasures.topic_id is 'Kafka''s id of the topic';
comment on column ops.erasures.partition is 'Kafka partition';
comment on column ops.erasures.up_to_offset is 'Records of the user before this offset stay erased, also in a replay';
comment on column ops.erasures.erased_at is 'When it was asked for';

create table ops.erasure_key (
    one boolean default true not null,
    key bytea not null,
    constraint erasure_key_pkey primary key (one),
    constraint erasure_key_one_check check (one)
);
comment on table ops.erasure_key is 'The key of the hashes in erasures.';
comment on column ops.erasure_key.one is 'There is one row';
comment on column ops.erasure_key.key is 'Random, made with the first erasure';

alter table ops.batches add column erased bigint default 0 not null, add column expired bigint default 0 not null;
alter table ops.batches drop constraint batches_accounted_check;
alter table ops.batches add constraint batches_accounted_check
check (records = stored + duplicates_redis + duplicates_postgres + dead_letters + tombstones + erased + expired);
alter table ops.batches drop constraint batches_kind_check;
alter table ops.batches add constraint batches_kind_check
check (kind in ('ingest', 'replay', 'redrive', 'erase', 'retention'));
comment on table ops.batches is 'The ledger: one row a committed transaction. records = stored + duplicates + dead letters + tombstones + erased + expired.';
comment on column ops.batches.run_id is 'The Dagster run, or the redrive or erasure';
comment on column ops.batches.kind is 'ingest; or replay, redrive, erase or retention, which move no offset and book signed differences';
comment on column ops.batches.erased is 'Records of users who were erased';
comment on column ops.batches.expired is 'Events from before the frontier of retention';

alter table ops.batch_ranges add column erased bigint default 0 not null, add column expired bigint default 0 not null;
alter table ops.batch_ranges drop constraint batch_ranges_accounted_check;
alter table ops.batch_ranges add constraint batch_ranges_accounted_check
check (records = stored + duplicates + dead_letters + tombstones + erased + expired);
comment on column ops.batch_ranges.erased is 'Records of users who were erased';
comment on column ops.batch_ranges.expired is 'Events from before the frontier of retention';
