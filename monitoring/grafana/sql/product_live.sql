select
    type,
    seconds_since as "last seen",
    per_second as "a second",
    running_minute as "this minute",
    last_minute as "last minute",
    last_5_minutes as "5 minutes",
    last_60_minutes as "60 minutes"
from analytics.live
where type in (${type:sqlstring})
order by last_60_minutes desc, type
