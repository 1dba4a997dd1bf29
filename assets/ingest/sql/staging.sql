-- Made once a connection, emptied by every COMMIT.
create temporary table if not exists staged_events (
    event_id uuid not null,
    occurred_at timestamptz not null,
    type text not null,
    user_id text not null,
    payload jsonb not null,
    source_event_id text,
    kafka_topic_id uuid not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    position integer not null,
    claimed_at timestamptz
) on commit delete rows;

create temporary table if not exists staged_dead_letters (
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
    run_id text not null
) on commit delete rows;
