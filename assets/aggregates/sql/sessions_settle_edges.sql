-- Leaves out events beyond the sessions that cross the bound, and names the sessions there that are to be replaced.
delete from session_events as e using session_edges as x
where
    e.user_id = x.user_id
    and case
        when %(backward)s then e.occurred_at < %(bound)s and e.occurred_at < x.reach
        else e.occurred_at >= %(bound)s and e.occurred_at > x.reach
    end;

insert into session_old (session_id, user_id)
select
    s.session_id,
    s.user_id
from session_edges as x
inner join analytics.sessions as s on x.user_id = s.user_id
where
    s.started_at >= %(frontier)s::timestamptz
    and case
        when %(backward)s then s.started_at >= x.reach and s.started_at < %(bound)s
        else s.started_at >= %(bound)s and s.started_at <= x.reach
    end;

delete from session_edges
