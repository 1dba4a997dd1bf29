-- The runs of the newest execution of each check: what the UI shows of it. Each is recorded for some partition, too.
select distinct on (c.asset_key, c.check_name) c.run_id
from dagster.asset_check_executions as c
order by c.asset_key asc, c.check_name asc, c.id desc
