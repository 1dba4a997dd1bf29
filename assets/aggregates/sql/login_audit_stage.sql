-- What the audit works on: made once a connection, emptied by every COMMIT.
-- Rows of login_audit that came (1) or went (-1); one with other values did both.
create temporary table if not exists audit_changed (
    occurred_at timestamptz not null,
    event_id uuid not null,
    position uuid not null,
    user_id text not null,
    action text not null,
    ip text,
    address text,
    device text,
    flags text[] not null,
    change smallint not null
) on commit delete rows;

-- Stretches of time, of a user or an address, in which flags may change; those of one subject do not overlap.
create temporary table if not exists audit_reach (
    kind text not null,
    subject text not null,
    low timestamptz not null,
    high timestamptz not null
) on commit delete rows;

-- Rows of the users' stretches, with the flags that they have and those of them that follow from the user.
create temporary table if not exists audit_by_user (
    occurred_at timestamptz not null,
    event_id uuid not null,
    before text[] not null,
    flags text[] not null
) on commit delete rows;

-- Rows that are to have other flags, with those that they have.
create temporary table if not exists audit_judged (
    occurred_at timestamptz not null,
    event_id uuid not null,
    before text[] not null,
    flags text[] not null
) on commit delete rows;

-- What raw.events says, in a rebuild.
create temporary table if not exists audit_truth (
    occurred_at timestamptz not null,
    event_id uuid not null,
    position uuid not null,
    user_id text not null,
    action text not null,
    ip text,
    address text,
    device text
) on commit delete rows;

-- Hours of logins_hourly to count again.
create temporary table if not exists audit_hours (hour timestamptz not null) on commit delete rows;

truncate audit_changed, audit_reach, audit_by_user, audit_judged, audit_truth, audit_hours;
