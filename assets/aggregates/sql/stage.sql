-- What a refresh works on: made once a connection, emptied by every COMMIT.
create temporary table if not exists taken (
    mark_id bigint primary key,
    hour timestamptz not null,
    low timestamptz not null,
    high timestamptz not null,
    events bigint not null,
    batch_id bigint,
    event_ids uuid[],
    windows tstzmultirange
) on commit delete rows;

-- Offsets of batches, by hour and Kafka partition: of the marks that are taken, or that stay.
create temporary table if not exists spans (
    taken boolean not null,
    hour timestamptz not null,
    topic_id uuid not null,
    partition integer not null,
    offsets int8multirange not null
) on commit delete rows;

-- Events that marks list one by one.
create temporary table if not exists listed (
    taken boolean not null,
    hour timestamptz not null,
    event_id uuid not null
) on commit delete rows;

-- The events that are taken in now.
create temporary table if not exists arrived (
    event_id uuid not null,
    occurred_at timestamptz not null,
    hour timestamptz not null,
    day date not null,
    type text not null,
    user_id text not null,
    payload jsonb not null,
    position uuid,
    kafka_topic_id uuid,
    kafka_partition integer,
    kafka_offset bigint
) on commit delete rows;

-- Events that were deleted from raw.events by an erasure.
create temporary table if not exists gone (like arrived) on commit delete rows;

-- The hours of what arrived, and how their users are told apart (see hours_tracked.sql). `other_day`: the slot holds the
-- members of a day before.
create temporary table if not exists arrived_hours (
    hour timestamptz primary key,
    slot smallint not null,
    number integer not null,
    tracked boolean not null,
    begins boolean not null,
    other_day boolean not null
) on commit delete rows;

-- What the hourly tables hold already of the users who came in hours that are not tracked.
create temporary table if not exists earlier (
    hour timestamptz not null,
    type text not null,
    user_id text not null,
    payload jsonb not null
) on commit delete rows;

-- How rows of ops.user_days change: counts as differences, the rest as it was and as it is.
create temporary table if not exists changes (
    user_id text not null,
    day date not null,
    was boolean not null,
    stays boolean not null,
    events bigint not null,
    logins bigint not null,
    page_views bigint not null,
    button_clicks bigint not null,
    form_submits bigint not null,
    old_first_at timestamptz,
    first_at timestamptz,
    old_last_at timestamptz,
    last_at timestamptz,
    old_funnel_steps smallint not null,
    funnel_steps smallint not null,
    -- What comes after it changes none of the old steps; null: not known.
    funnel_at timestamptz,
    primary key (user_id, day)
) on commit delete rows;

create temporary table if not exists trait_changes (
    user_id text not null,
    day date not null,
    kind text not null,
    value text not null,
    events bigint not null
) on commit delete rows;

-- How often users have come with the devices and addresses of trait_changes, all days together.
create temporary table if not exists trait_totals (
    user_id text not null,
    kind text not null,
    value text not null,
    events bigint not null
) on commit delete rows;

-- What users usually come with now, where that may have changed: the device, the address, or both.
create temporary table if not exists user_usual (
    user_id text not null,
    devices boolean not null,
    device text,
    ips boolean not null,
    ip text
) on commit delete rows;

-- How users change: differences of their counts, their first event as it was and as it is, and what they usually came with.
create temporary table if not exists user_changes (
    user_id text primary key,
    old_first_at timestamptz,
    first_at timestamptz,
    last_at timestamptz,
    usual_device text,
    usual_ip text,
    events bigint not null,
    logins bigint not null,
    page_views bigint not null,
    button_clicks bigint not null,
    form_submits bigint not null
) on commit delete rows;
