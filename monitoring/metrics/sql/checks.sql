-- The newest evaluation of each check, by the name of the check; one that is only planned yet is none.
select distinct on (c.check_name)
    c.check_name,
    c.execution_status = 'SUCCEEDED' as passed
from dagster.asset_check_executions as c
where c.execution_status in ('SUCCEEDED', 'FAILED')
order by c.check_name asc, c.id desc
