create schema if not exists raw;
create schema if not exists ops;
create schema if not exists analytics;

create table analytics.events_minutely (
    minute timestamptz not null,
    type text not null,
    events bigint not null,
    constraint events_minutely_pkey primary key (minute, type)
);
comment on table analytics.events_minutely is 'Events by minute and type, kept in the transaction that stores the events.';
comment on column analytics.events_minutely.minute is 'Start of the minute, UTC';
comment on column analytics.events_minutely.type is 'Event type';
comment on column analytics.events_minutely.events is 'Events that occurred in that minute';

create table ops.batches (
    batch_id bigint generated always as identity,
    run_id text not null,
    lane integer not null,
    kind text not null,
    path text not null,
    dedup_degraded boolean not null,
    records bigint not null,
    stored bigint not null,
    duplicates_redis bigint not null,
    duplicates_postgres bigint not null,
    dead_letters bigint not null,
    tombstones bigint not null,
    retries integer not null,
    pull_seconds double precision not null,
    decode_seconds double precision not null,
    claim_seconds double precision not null,
    frame_seconds double precision not null,
    store_seconds double precision not null,
    latency_p50_seconds double precision,
    latency_p95_seconds double precision,
    latency_max_seconds double precision,
    committed_at timestamptz default clock_timestamp() not null,
    constraint batches_pkey primary key (batch_id),
    constraint batches_kind_check check (kind in ('ingest', 'replay')),
    constraint batches_accounted_check check (records = stored + duplicates_redis + duplicates_postgres + dead_letters + tombstones)
);
create index batches_committed_at_idx on ops.batches (committed_at);
create index batches_run_id_idx on ops.batches (run_id);
comment on table ops.batches is 'The ledger: one row a committed transaction. records = stored + duplicates + dead letters + tombstones.';
comment on column ops.batches.batch_id is 'Number of the batch';
comment on column ops.batches.run_id is 'The Dagster run';
comment on column ops.batches.lane is 'The lane of the run';
comment on column ops.batches.kind is 'ingest, or replay: a replay moves no offset and books signed differences';
comment on column ops.batches.path is 'copy (straight in), staged (checked against what is stored) or none (no rows)';
comment on column ops.batches.dedup_degraded is 'Redis could not be asked';
comment on column ops.batches.records is 'Kafka records';
comment on column ops.batches.stored is 'Events stored';
comment on column ops.batches.duplicates_redis is 'Duplicates that Redis recognised';
comment on column ops.batches.duplicates_postgres is 'Duplicates that PostgreSQL recognised';
comment on column ops.batches.dead_letters is 'Records refused';
comment on column ops.batches.tombstones is 'Records without a value';
comment on column ops.batches.retries is 'How often the transaction had to be tried again';
comment on column ops.batches.pull_seconds is 'Waiting for Kafka and reading';
comment on column ops.batches.decode_seconds is 'Decoding and validating';
comment on column ops.batches.claim_seconds is 'Claiming ids in Redis';
comment on column ops.batches.frame_seconds is 'Building and sorting the DataFrame';
comment on column ops.batches.store_seconds is 'The PostgreSQL transaction';
comment on column ops.batches.latency_p50_seconds is 'Median of Kafka timestamp to COMMIT';
comment on column ops.batches.latency_p95_seconds is '95th percentile of Kafka timestamp to COMMIT';
comment on column ops.batches.latency_max_seconds is 'Largest of Kafka timestamp to COMMIT';
comment on column ops.batches.committed_at is 'When the transaction was about to commit';

create table ops.gaps (
    gap_id bigint generated always as identity,
    topic text not null,
    topic_id uuid not null,
    partition integer not null,
    start_offset bigint not null,
    end_offset bigint,
    reason text not null,
    detected_at timestamptz default now() not null,
    run_id text not null,
    constraint gaps_pkey primary key (gap_id),
    constraint gaps_reason_check check (reason in ('expired', 'recreated', 'went_backwards'))
);
create index gaps_coordinates_idx on ops.gaps (topic_id, partition);
comment on table ops.gaps is 'Data lost at the source: offsets that Kafka no longer had when they were to be read.';
comment on column ops.gaps.gap_id is 'Number of the gap';
comment on column ops.gaps.topic is 'Kafka topic';
comment on column ops.gaps.topic_id is 'Kafka''s id of the topic: a re-created topic has another one';
comment on column ops.gaps.partition is 'Kafka partition';
comment on column ops.gaps.start_offset is 'First offset that is lost';
comment on column ops.gaps.end_offset is 'One past the last; unknown for a topic that was re-created';
comment on column ops.gaps.reason is 'expired, recreated or went_backwards';
comment on column ops.gaps.detected_at is 'When it was found';
comment on column ops.gaps.run_id is 'The Dagster run that found it';

create table ops.offsets (
    topic text not null,
    topic_id uuid not null,
    partition integer not null,
    next_offset bigint not null,
    updated_at timestamptz default now() not null,
    replaced_at timestamptz,
    constraint offsets_pkey primary key (topic_id, partition)
);
comment on table ops.offsets is 'How far each partition is committed. The only truth; consumer-group offsets follow it as a courtesy.';
comment on column ops.offsets.topic is 'Kafka topic';
comment on column ops.offsets.topic_id is 'Kafka''s id of the topic: a re-created topic has another one';
comment on column ops.offsets.partition is 'Kafka partition';
comment on column ops.offsets.next_offset is 'Everything before it is accounted for; the next transaction starts here';
comment on column ops.offsets.updated_at is 'When it moved last';
comment on column ops.offsets.replaced_at is 'When the topic was found re-created under another id';

create table raw.dead_letters (
    dead_letter_id bigint generated always as identity,
    topic text not null,
    topic_id uuid not null,
    partition integer not null,
    kafka_offset bigint not null,
    key bytea,
    value bytea,
    header_names bytea[] not null,
    header_values bytea[] not null,
    kafka_timestamp timestamptz,
    code text not null,
    reason text not null,
    status text default 'open' not null,
    attempts integer default 1 not null,
    first_seen_at timestamptz default now() not null,
    last_attempt_at timestamptz default now() not null,
    run_id text not null,
    constraint dead_letters_pkey primary key (dead_letter_id),
    constraint dead_letters_status_check check (status in ('open', 'resolved', 'discarded')),
    constraint dead_letters_topic_id_partition_kafka_offset_key unique (topic_id, partition, kafka_offset)
);
create index dead_letters_open_idx on raw.dead_letters (code) where status = 'open';
comment on table raw.dead_letters is 'Records that are no valid events, kept exactly as they came. Unique by coordinate.';
comment on column raw.dead_letters.dead_letter_id is 'Number of the letter';
comment on column raw.dead_letters.topic is 'Kafka topic';
comment on column raw.dead_letters.topic_id is 'Kafka''s id of the topic: a re-created topic has another one';
comment on column raw.dead_letters.partition is 'Kafka partition';
comment on column raw.dead_letters.kafka_offset is 'Kafka offset';
comment on column raw.dead_letters.key is 'The record''s key, byte for byte';
comment on column raw.dead_letters.value is 'The record''s value, byte for byte';
comment on column raw.dead_letters.header_names is 'Names of the record''s headers in order';
comment on column raw.dead_letters.header_values is 'Values of the record''s headers, same order; a missing value is null';
comment on column raw.dead_letters.kafka_timestamp is 'The record''s Kafka timestamp, where it has one';
comment on column raw.dead_letters.code is 'Why it was refused: a stable code, see docs/events.md';
comment on column raw.dead_letters.reason is 'Why it was refused, for people';
comment on column raw.dead_letters.status is 'open, resolved (stored since) or discarded';
comment on column raw.dead_letters.attempts is 'How often it was tried';
comment on column raw.dead_letters.first_seen_at is 'When it was refused first';
comment on column raw.dead_letters.last_attempt_at is 'When it was tried last';
comment on column raw.dead_letters.run_id is 'The Dagster run that tried it last';

create table raw.events (
    event_id uuid not null,
    occurred_at timestamptz not null,
    type text not null,
    user_id text not null,
    payload jsonb not null,
    source_event_id text,
    kafka_topic_id uuid not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    ingested_at timestamptz default now() not null,
    constraint events_pkey primary key (occurred_at, event_id)
)
partition by range (occurred_at);
create index events_user_id_occurred_at_idx on raw.events (user_id, occurred_at);
comment on table raw.events is 'One row an event, each exactly once. By day of occurred_at; days before the first are in events_old.';
comment on column raw.events.event_id is 'The event''s id; a UUID as sent, or the UUIDv5 of the text in source_event_id';
comment on column raw.events.occurred_at is 'When it happened, by the producer''s timestamp';
comment on column raw.events.type is 'login, logout, page_view, button_click, form_submit, ...';
comment on column raw.events.user_id is 'payload.userId';
comment on column raw.events.payload is 'The payload, equal as a JSON value to what was sent';
comment on column raw.events.source_event_id is 'The eventId as sent, where it was not a UUID';
comment on column raw.events.kafka_topic_id is 'Kafka''s id of the topic: a re-created topic has another one';
comment on column raw.events.kafka_partition is 'Kafka partition';
comment on column raw.events.kafka_offset is 'Kafka offset of the record that was stored';
comment on column raw.events.ingested_at is 'When the storing transaction began';

create table ops.batch_ranges (
    batch_id bigint not null,
    topic_id uuid not null,
    partition integer not null,
    start_offset bigint not null,
    end_offset bigint not null,
    records bigint not null,
    stored bigint not null,
    duplicates bigint not null,
    dead_letters bigint not null,
    tombstones bigint not null,
    constraint batch_ranges_pkey primary key (batch_id, topic_id, partition),
    constraint batch_ranges_accounted_check check (records = stored + duplicates + dead_letters + tombstones),
    constraint batch_ranges_batch_id_fkey foreign key (batch_id) references ops.batches (batch_id) on delete cascade
);
create index batch_ranges_coordinates_idx on ops.batch_ranges (topic_id, partition, end_offset);
comment on table ops.batch_ranges is 'The ledger by partition: which offsets a batch covered and what became of them.';
comment on column ops.batch_ranges.batch_id is 'The batch';
comment on column ops.batch_ranges.topic_id is 'Kafka''s id of the topic';
comment on column ops.batch_ranges.partition is 'Kafka partition';
comment on column ops.batch_ranges.start_offset is 'First offset';
comment on column ops.batch_ranges.end_offset is 'One past the last offset';
comment on column ops.batch_ranges.records is 'Records found there (markers and compacted offsets are none)';
comment on column ops.batch_ranges.stored is 'Events stored';
comment on column ops.batch_ranges.duplicates is 'Duplicates';
comment on column ops.batch_ranges.dead_letters is 'Records refused';
comment on column ops.batch_ranges.tombstones is 'Records without a value';
