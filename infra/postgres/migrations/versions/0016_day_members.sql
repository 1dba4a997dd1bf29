create table ops.day_members (
    day date not null,
    name text not null,
    member uuid not null,
    events bigint not null,
    constraint day_members_pkey primary key (day, name, member)
);
comment on table ops.day_members is
'Who is counted in the tables that count facts by day, of days that are not behind the retention frontier.';
comment on column ops.day_members.day is 'The day, UTC';
comment on column ops.day_members.name is 'The table, without its schema';
comment on column ops.day_members.member is 'Digest of the table''s key and the user';
comment on column ops.day_members.events is 'How many events of the user count there';
