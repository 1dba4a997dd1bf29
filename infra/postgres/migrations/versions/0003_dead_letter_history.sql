create table ops.audit_log (
    audit_id bigint generated always as identity,
    at timestamptz default clock_timestamp() not null,
    actor text not null,
    action text not null,
    subject text not null,
    details jsonb default '{}'::jsonb not null,
    constraint audit_log_pkey primary key (audit_id)
);
create index audit_log_at_idx on ops.audit_log (at);
comment on table ops.audit_log is 'Who redrove, discarded, erased or dropped what. Never a payload, never the id of an erased user.';
comment on column ops.audit_log.audit_id is 'Number of the entry';
comment on column ops.audit_log.at is 'When';
comment on column ops.audit_log.actor is 'Who: the user of the operating system, or the Dagster run';
comment on column ops.audit_log.action is 'redrive, discard, erase, retention, ...';
comment on column ops.audit_log.subject is 'What it was done to; of an erased user only the hash';
comment on column ops.audit_log.details is 'Figures';

create table ops.dead_letter_attempts (
    entry_id bigint generated always as identity,
    dead_letter_id bigint not null,
    attempt integer not null,
    at timestamptz default now() not null,
    outcome text not null,
    code text,
    reason text,
    run_id text not null,
    constraint dead_letter_attempts_pkey primary key (entry_id),
    constraint dead_letter_attempts_dead_letter_id_fkey foreign key (dead_letter_id) references raw.dead_letters (dead_letter_id) on delete cascade
);
create index dead_letter_attempts_dead_letter_id_idx on ops.dead_letter_attempts (dead_letter_id);
comment on table ops.dead_letter_attempts is 'What became of a dead letter at each attempt. A letter that was tried once only has no entry yet.';
comment on column ops.dead_letter_attempts.entry_id is 'Number of the entry';
comment on column ops.dead_letter_attempts.dead_letter_id is 'The letter';
comment on column ops.dead_letter_attempts.attempt is 'Which attempt it was, from 1';
comment on column ops.dead_letter_attempts.at is 'When';
comment on column ops.dead_letter_attempts.outcome is 'refused, stored, duplicate, ...; discarded is no attempt, it keeps the number of the last';
comment on column ops.dead_letter_attempts.code is 'Why it was refused';
comment on column ops.dead_letter_attempts.reason is 'Why it was refused or discarded, for people';
comment on column ops.dead_letter_attempts.run_id is 'The Dagster run, the redrive or the discard';

comment on column raw.dead_letters.status is 'open, resolved (stored since, or known as a duplicate) or discarded';
comment on column raw.dead_letters.run_id is 'The Dagster run, or the redrive, that tried it last';

alter table ops.batches drop constraint batches_kind_check;
alter table ops.batches add constraint batches_kind_check check (kind in ('ingest', 'replay', 'redrive'));
comment on column ops.batches.run_id is 'The Dagster run, or the redrive';
comment on column ops.batches.kind is 'ingest; or replay or redrive, which move no offset and book signed differences';

-- A redrive books in one batch what belongs to many ranges of a partition.
alter table ops.batch_ranges drop constraint batch_ranges_pkey;
alter table ops.batch_ranges add constraint batch_ranges_pkey primary key (batch_id, topic_id, partition, start_offset);
