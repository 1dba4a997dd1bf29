-- Up to where raw events were dropped, and the first and the last hour that has any.
select
    (
        select f.frontier from ops.retention_frontier as f
        where f.frontier > '-infinity'
    ) as frontier,
    (select min(h.hour) from analytics.events_hourly as h) as first_hour,
    (select max(h.hour) from analytics.events_hourly as h) as last_hour
