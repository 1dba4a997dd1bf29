delete from dagster.event_logs as e
where e.run_id = any(%(runs)s::text[])
