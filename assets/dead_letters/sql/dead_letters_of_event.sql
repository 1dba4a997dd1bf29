-- The dead letters, of any status, whose value holds an event's id; the newest of them.
select d.dead_letter_id
from raw.dead_letters as d
where encode(d.value, 'escape') ~ %(event)s
order by d.dead_letter_id desc
limit %(most)s
