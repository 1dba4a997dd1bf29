-- Also of a check that was planned and never evaluated. No foreign key leads here.
delete from dagster.asset_check_executions as c
where c.run_id = any(%(runs)s::text[])
