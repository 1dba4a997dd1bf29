-- What the audit works on: made once a connection, emptied by every COMMIT.
-- Rows of login_audit that came, went or have other values now: as they were, and as they are.
create temporary table if not exists audit_changed (
    occurred_at timestamptz not null,
    event_id uuid not null,
    position uuid not null,
    user_id text not null,
    action text not null,
    ip text,
    address text,
    device text
) on commit delete rows;

-- Rows whose flags are to be judged, with the flags that they have.
create temporary table if not exists audit_affected (
    occurred_at timestamptz not null,
    event_id uuid not null,
    position uuid not null,
    user_id text not null,
    action text not null,
    address text,
    device text,
    flags text[] not null,
    primary key (occurred_at, event_id)
) on commit delete rows;

-- What was counted of affected logins that stand close together, and of others between them.
create temporary table if not exists audit_dense (
    kind text not null,
    occurred_at timestamptz not null,
    event_id uuid not null,
    many boolean not null,
    primary key (kind, occurred_at, event_id)
) on commit delete rows;

-- Those of them that are to have other flags.
create temporary table if not exists audit_judged (
    occurred_at timestamptz not null,
    event_id uuid not null,
    flags text[] not null
) on commit delete rows;

-- What raw.events says, in a rebuild.
create temporary table if not exists audit_truth (like audit_changed) on commit delete rows;

-- Hours of logins_hourly to count again.
create temporary table if not exists audit_hours (hour timestamptz not null) on commit delete rows;

truncate audit_changed, audit_affected, audit_dense, audit_judged, audit_truth, audit_hours;
