select
    (
        select count(*) from raw.events as e
        where e.user_id = %(user_id)s
    ) as events,
    (
        select count(*) from analytics.sessions as s
        where s.user_id = %(user_id)s
    ) as sessions
