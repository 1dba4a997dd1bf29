create table ops.taken_marks (
    consumer text not null,
    mark_id bigint not null,
    constraint taken_marks_pkey primary key (consumer, mark_id),
    -- A release that knows no groups cannot delete, and so not count twice, what one group has taken in already.
    constraint taken_marks_mark_id_fkey foreign key (mark_id) references ops.dirty_buckets (mark_id)
);
create index taken_marks_mark_id_idx on ops.taken_marks (mark_id);
comment on table ops.taken_marks is
'Marks that some groups of tables have taken in and others have not: the last one deletes the mark.';
comment on column ops.taken_marks.consumer is 'The group of tables: hourly, users or security';
comment on column ops.taken_marks.mark_id is 'The mark';
comment on table ops.dirty_buckets is
'Events that some group of tables does not hold yet, one mark for each transaction and hour. Empty: nothing waits.';
