alter table ops.batches drop constraint batches_kind_check;
alter table ops.batches add constraint batches_kind_check check (
    kind in ('ingest', 'replay', 'redrive', 'erase', 'retention', 'closed')
);
alter table ops.batches add column transactions integer default 1 not null;
create index batches_closed_idx on ops.batches (batch_id) where kind = 'closed';
comment on column ops.batches.lane is 'The lane of the run; -1 where it is closed';
comment on column ops.batches.kind is 'ingest; replay, redrive, erase, retention (they move no offset and book signed differences); closed (a sum of many)';
comment on column ops.batches.path is 'copy (straight in), staged (checked against what is stored), none (no rows), closed';
comment on column ops.batches.transactions is 'How many it stands for: 1, unless it is closed';

create index dead_letters_settled_idx on raw.dead_letters (last_attempt_at) where status <> 'open' and value is not null;

create table ops.reused_ids (
    event_id uuid not null,
    occurred_at timestamptz not null,
    first_occurred_at timestamptz not null,
    type text not null,
    first_type text not null,
    found_at timestamptz default now() not null,
    constraint reused_ids_pkey primary key (event_id, occurred_at)
);
create index reused_ids_found_at_idx on ops.reused_ids (found_at);
comment on table ops.reused_ids is 'Ids under which events of different times are stored: looked for daily, among a week''s events.';
comment on column ops.reused_ids.event_id is 'The id that was used again';
comment on column ops.reused_ids.occurred_at is 'occurred_at of the event that came later';
comment on column ops.reused_ids.first_occurred_at is 'occurred_at of the event that was stored first under this id';
comment on column ops.reused_ids.type is 'Type of the event that came later';
comment on column ops.reused_ids.first_type is 'Type of the event that was stored first';
comment on column ops.reused_ids.found_at is 'When it was found';
