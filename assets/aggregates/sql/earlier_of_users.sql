-- What the hourly tables still hold of users in the hours that something is gone from: the events that stay. They are
-- read once, not once an hour: what is deleted still stands in the index.
insert into earlier (hour, type, user_id, payload)
with left_over as materialized (
    select
        date_trunc('hour', r.occurred_at, 'UTC') as hour,
        r.type,
        r.user_id,
        r.payload
    from raw.events as r
    where r.user_id = any(%(users)s::text[]) and r.occurred_at >= %(frontier)s
)

select
    e.hour,
    e.type,
    e.user_id,
    e.payload
from left_over as e
where e.hour = any(array(select distinct g.hour from gone as g))
