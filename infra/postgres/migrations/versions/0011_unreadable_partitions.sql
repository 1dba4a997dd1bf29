create table ops.unreadable_partitions (
    topic text not null,
    topic_id uuid not null,
    partition integer not null,
    at_offset bigint not null,
    error text not null,
    since timestamptz default now() not null,
    seen_at timestamptz default now() not null,
    run_id text not null,
    constraint unreadable_partitions_pkey primary key (topic_id, partition)
);
comment on table ops.unreadable_partitions is
'Partitions that Kafka did not hand out when a run read them; a row holds while the partition stands at its offset.';
comment on column ops.unreadable_partitions.topic is 'Kafka topic';
comment on column ops.unreadable_partitions.topic_id is 'Kafka''s id of the topic: a re-created topic has another one';
comment on column ops.unreadable_partitions.partition is 'Kafka partition';
comment on column ops.unreadable_partitions.at_offset is 'The next offset to read, which cannot be read';
comment on column ops.unreadable_partitions.error is 'What Kafka or its client said';
comment on column ops.unreadable_partitions.since is 'When it was first met at this offset';
comment on column ops.unreadable_partitions.seen_at is 'When it was last met';
comment on column ops.unreadable_partitions.run_id is 'The Dagster run that met it last';

comment on column ops.gaps.run_id is 'The Dagster run that found it, or the command that gave it up';
