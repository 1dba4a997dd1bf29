-- Days whose active users are not the users of ops.user_days: both are written in one transaction.
with stored as (
    select
        u.day,
        count(*) as events
    from ops.user_days as u
    where
        u.day >= (%(low)s at time zone 'UTC')::date
        and u.day <= ((%(high)s - interval '1 microsecond') at time zone 'UTC')::date
    group by 1
),

kept as (
    select
        a.day,
        a.dau as events
    from analytics.active_users_daily as a
    where
        a.day >= (%(low)s at time zone 'UTC')::date
        and a.day <= ((%(high)s - interval '1 microsecond') at time zone 'UTC')::date
)

select
    coalesce(sum(stored.events), 0)::bigint as events,
    count(*) filter (where coalesce(stored.events, 0) <> coalesce(kept.events, 0)) as wrong,
    min(coalesce(stored.day, kept.day)) filter (
        where coalesce(stored.events, 0) <> coalesce(kept.events, 0)
    ) as first_wrong
from stored
full join kept on stored.day = kept.day
