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
