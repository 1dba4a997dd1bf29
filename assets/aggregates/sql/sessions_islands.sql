-- Bounds, both inclusive, of the times that stretches cover, days without any left out: each island of neighbouring
-- days is read with bounds of its own.
with ordered as (
    select
        x.low,
        x.high,
        max(x.high) over (order by x.low, x.high rows between unbounded preceding and 1 preceding) as before
    from session_stretches as x
),

numbered as (
    select
        o.low,
        o.high,
        count(*) filter (
            where date_trunc('day', o.low, 'UTC') > date_trunc('day', o.before, 'UTC') + interval '24 hours'
        ) over (order by o.low, o.high rows unbounded preceding) as island
    from ordered as o
)

select
    min(n.low) as low,
    max(n.high) as high
from numbered as n
group by n.island
order by low
