alter table analytics.sessions
add column entry_at timestamptz,
add column entry_position uuid,
add column exit_at timestamptz,
add column exit_position uuid;
comment on column analytics.sessions.entry_at is 'When the entry page was seen';
comment on column analytics.sessions.entry_position is
'Kafka position of the entry page''s event: the order of equal times';
comment on column analytics.sessions.exit_at is 'When the exit page was seen';
comment on column analytics.sessions.exit_position is
'Kafka position of the exit page''s event: the order of equal times';
