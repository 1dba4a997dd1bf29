alter table analytics.sessions
add column entry_at timestamptz,
add column entry_position uuid,
add column exit_at timestamptz,
add column exit_position uuid,
add column merged_events bigint;
comment on column analytics.sessions.merged_events is
'Events when these four were noted; others than events: they are out of date';
comment on column analytics.sessions.entry_at is 'When the entry page was seen';
comment on column analytics.sessions.entry_position is
'Kafka position of the entry page''s event: the order of equal times';
comment on column analytics.sessions.exit_at is 'When the exit page was seen';
comment on column analytics.sessions.exit_position is
'Kafka position of the exit page''s event: the order of equal times';

create table ops.hour_members (
    slot smallint not null,
    hour integer not null,
    member uuid not null,
    events bigint,
    constraint hour_members_pkey primary key (slot, hour, member)
) partition by list (slot);
comment on table ops.hour_members is
'Who is counted in the hourly tables, for hours of recent days; a late event in another hour reads raw.events.';
comment on column ops.hour_members.slot is 'The day since 1970, UTC, modulo 8: a new day empties the slot of the one before';
comment on column ops.hour_members.hour is 'Hours since 1970, UTC';
comment on column ops.hour_members.member is
'Digest of table, key and user; only zeros: all members of the hour are here';
comment on column ops.hour_members.events is
'Beside only zeros: events of the hour that are counted; others in events_hourly: the members are not all here';
create table ops.hour_members_0 partition of ops.hour_members for values in (0);
create table ops.hour_members_1 partition of ops.hour_members for values in (1);
create table ops.hour_members_2 partition of ops.hour_members for values in (2);
create table ops.hour_members_3 partition of ops.hour_members for values in (3);
create table ops.hour_members_4 partition of ops.hour_members for values in (4);
create table ops.hour_members_5 partition of ops.hour_members for values in (5);
create table ops.hour_members_6 partition of ops.hour_members for values in (6);
create table ops.hour_members_7 partition of ops.hour_members for values in (7);

alter table ops.dirty_buckets add column windows tstzmultirange;
comment on column ops.dirty_buckets.windows is
'Times between low and high in which all of them lie, for reading no others; null: anywhere between';

-- Rows that are updated again and again find room in their pages, so that their indexes are left alone.
alter table analytics.sessions set (fillfactor = 75);
alter table analytics.user_profiles set (fillfactor = 75);
alter table ops.user_days set (fillfactor = 75);
alter table ops.user_day_traits set (fillfactor = 75);
alter table ops.user_traits set (fillfactor = 75);
