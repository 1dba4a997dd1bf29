delete from dagster.asset_event_tags as t
using dagster.event_logs as e
where e.run_id = any(%(runs)s::text[]) and t.event_id = e.id
