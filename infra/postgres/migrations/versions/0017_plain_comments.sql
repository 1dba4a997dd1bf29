-- The comments of tables and columns in the words of the field. They are what analysts and docs/tables.md show.
comment on column analytics.login_audit.position is
'Kafka coordinate (topic id, partition, offset) in one value: the order of rows of equal times';
comment on column analytics.sessions.entry_page is
'Page of the first page view; equal times by Kafka coordinate';
comment on column analytics.sessions.exit_page is
'Page of the last page view; equal times by Kafka coordinate';
comment on column ops.batches.kind is
'ingest; replay, redrive, erase, retention (they move no offset and record signed differences); closed (a sum of many)';
comment on table ops.claim_key is
'The key of the digests in claims: write access to Redis alone does not prove that an event is stored.';
comment on column ops.dead_letter_attempts.dead_letter_id is 'The dead letter';
comment on table ops.dead_letter_attempts is
'What became of a dead letter at each attempt. A dead letter that was tried only once has no entry yet.';
comment on table ops.dirty_buckets is
'Events that the aggregates do not hold yet, one mark for each transaction and hour. Empty: nothing waits.';
comment on table ops.erasures is
'Users who stay erased: a replay counts their records as erased and does not store them again.';
comment on column ops.totals.lane is 'The lane that counted; -1: counted by no lane, -2: ended Dagster runs';
comment on column ops.unreadable_partitions.error is 'The error of Kafka or of its client';
comment on column raw.dead_letters.dead_letter_id is 'Number of the dead letter';
