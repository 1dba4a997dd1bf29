-- The runs of the newest execution of each check, of each partition: what the UI shows of it.
select distinct on (c.asset_key, c.check_name, c.partition) c.run_id
from dagster.asset_check_executions as c
order by c.asset_key asc, c.check_name asc, c.partition asc, c.id desc
