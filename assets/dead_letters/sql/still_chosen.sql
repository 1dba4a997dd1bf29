select count(*) from raw.dead_letters as d
where d.dead_letter_id = any(%(ids)s) and d.status = any(%(statuses)s) and d.run_id <> %(by)s
