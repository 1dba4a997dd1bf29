select coalesce(max(waiting_seconds), 0) as "seconds behind" from analytics.freshness
