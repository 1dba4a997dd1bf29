-- Made once a connection, emptied by every COMMIT.
create temporary table if not exists lost (
    topic_id uuid not null,
    partition integer not null,
    kafka_offset bigint not null,
    outcome text not null
) on commit delete rows;

create temporary table if not exists lost_ranges (
    topic_id uuid not null,
    partition integer not null,
    start_offset bigint not null,
    end_offset bigint not null,
    stored bigint not null,
    dead_letters bigint not null
) on commit delete rows;
