-- Their tags go with them, by the foreign key.
delete from dagster.runs as r
where r.run_id = any(%(runs)s::text[])
