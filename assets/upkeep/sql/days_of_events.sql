-- The day partitions of raw.events; `pending`: its detaching was begun and not finished.
select
    i.inhrelid::regclass::text as day_table,
    i.inhdetachpending as pending
from pg_inherits as i
inner join pg_class as c on i.inhrelid = c.oid
where i.inhparent = 'raw.events'::regclass and c.relname ~ '^events_[0-9]{8}$'
order by c.relname
