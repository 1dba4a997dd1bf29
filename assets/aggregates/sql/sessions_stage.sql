-- What sessions are made with: made once a connection, emptied by every COMMIT.
-- What arrived, as sessions of its own, and the sessions that it touches.
create temporary table if not exists session_items (
    user_id text not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    events bigint not null,
    page_views bigint not null,
    entry_at timestamptz,
    entry_position uuid,
    entry_page text,
    exit_at timestamptz,
    exit_position uuid,
    exit_page text
) on commit delete rows;

create temporary table if not exists session_touched (like analytics.sessions) on commit delete rows;

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
    viewed boolean not null,
    position uuid,
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
