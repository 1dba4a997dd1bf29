-- Days that have events or rows of any aggregate: from each day the step to the next, one look into the index of each
-- table, so that years without rows cost nothing. The session's time zone is UTC. `next_rows` is, of each table, the
-- first row after the day `f.low` (`rebuild`).
with recursive found (low) as (
    select %(first)s::date::timestamptz - interval '1 day' as low
    union all
    select (
        select date_trunc('day', min(n.at), 'UTC') as low
        from %(next_rows)s as n
    ) as low
    from found as f
    where f.low < %(last)s::date::timestamptz
)

select (f.low at time zone 'UTC')::date as day
from found as f
where f.low >= %(first)s::date::timestamptz and f.low <= %(last)s::date::timestamptz
order by f.low
