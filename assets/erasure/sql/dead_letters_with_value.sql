-- All dead letters that could name anybody, read once for a list of users.
select
    d.dead_letter_id,
    d.key,
    d.value
from raw.dead_letters as d
where d.key is not null or d.value is not null
order by d.dead_letter_id
