-- What the hourly tables still hold of a user in the hours that something is gone from: the events that stay.
insert into earlier (hour, type, user_id, payload)
select
    g.hour,
    e.type,
    e.user_id,
    e.payload
from (select distinct x.hour from gone as x) as g
inner join raw.events as e on g.hour <= e.occurred_at and e.occurred_at < g.hour + interval '1 hour'
where e.user_id = %(user_id)s and e.occurred_at >= %(frontier)s
