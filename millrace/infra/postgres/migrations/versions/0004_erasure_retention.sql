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
