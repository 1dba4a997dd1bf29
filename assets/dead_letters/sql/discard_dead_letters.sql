update raw.dead_letters as d
set status = 'discarded'
where d.dead_letter_id = any(%(ids)s) and d.status = 'open'
returning d.dead_letter_id, d.code
