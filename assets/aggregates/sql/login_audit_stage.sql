-- What the audit works on: made once a connection, emptied by every COMMIT.
-- Rows that are to come into login_audit (1), with the flags that they have so far, and rows that have left it (-1). A row
-- whose values were wrong does both.
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

-- Stretches of time, of a user or an address, in which flags may change; those of one subject do not overlap. Where none
-- is late, the rows that come are all that there is from its beginning on.
create temporary table if not exists audit_reach (
    kind text not null,
    subject text not null,
    low timestamptz not null,
    high timestamptz not null,
    late boolean not null
) on commit delete rows;

-- Rows of the stretches, which are judged, and the rows before them that decide with them; what comes is among them.
create temporary table if not exists audit_rows (
    kind text not null,
    occurred_at timestamptz not null,
    event_id uuid not null,
    position uuid not null,
    user_id text not null,
    action text not null,
    address text,
    device text,
    flags text[] not null,
    judged boolean not null,
    comes boolean not null
) on commit delete rows;

-- Rows that are to have other flags, with those that they have.
create temporary table if not exists audit_judged (
    occurred_at timestamptz not null,
    event_id uuid not null,
    before text[] not null,
    flags text[] not null,
    comes boolean not null
) on commit delete rows;
