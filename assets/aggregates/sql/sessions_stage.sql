-- What sessions are rebuilt with: made once a connection, emptied by every COMMIT and before each use.
create temporary table if not exists session_stretches (
    user_id text not null,
    low timestamptz not null,
    high timestamptz not null,
    floor timestamptz not null
) on commit delete rows;

-- Users whose sessions may cross a bound of the rebuilt range, and how far their session has been followed.
create temporary table if not exists session_edges (
    user_id text not null,
    reach timestamptz not null,
    floor timestamptz not null,
    open boolean not null
) on commit delete rows;

-- Events of the rebuilt sessions, apart from those that are read straight from raw.events.
create temporary table if not exists session_events (
    user_id text not null,
    occurred_at timestamptz not null,
    kafka_topic_id uuid not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    viewed boolean not null,
    page text
) on commit delete rows;

-- Users of the rebuilt range with a frozen session that reaches over the frontier.
create temporary table if not exists session_frozen (
    user_id text not null,
    ended_at timestamptz not null
) on commit delete rows;

-- The sessions that are there, and the sessions that are to stand in their place.
create temporary table if not exists session_old (
    session_id uuid not null,
    user_id text not null
) on commit delete rows;

create temporary table if not exists session_new (like analytics.sessions) on commit delete rows;

create temporary table if not exists session_changes (
    user_id text not null,
    change bigint not null
) on commit delete rows;

delete from session_stretches;
delete from session_edges;
delete from session_events;
delete from session_frozen;
delete from session_old;
delete from session_new;
