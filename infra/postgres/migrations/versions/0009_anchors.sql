alter table ops.offsets
add column last_offset bigint,
add column last_digest bytea;
comment on column ops.offsets.last_offset is 'Offset of the last record that was committed; null without one';
comment on column ops.offsets.last_digest is
'Digest of its time, key and value: if another record stands there, the log lost its end';

alter table ops.batch_ranges
add column last_offset bigint,
add column last_digest bytea;
comment on column ops.batch_ranges.last_offset is 'Offset of the last record found there';
comment on column ops.batch_ranges.last_digest is 'Digest of its time, key and value';
alter table ops.gaps
drop constraint gaps_reason_check,
add constraint gaps_reason_check check (
    reason in ('expired', 'recreated', 'went_backwards', 'overwritten', 'unreadable')
);
comment on column ops.gaps.reason is 'expired, recreated, went_backwards, overwritten or unreadable';
