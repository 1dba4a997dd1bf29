-- The next dead letters of a choice, and how many bytes each holds.
select
    d.dead_letter_id,
    coalesce(octet_length(d.value), 0) + coalesce(octet_length(d.key), 0) as bytes
from chosen as d
where d.dead_letter_id > %(after)s and d.dead_letter_id <= %(last)s
order by d.dead_letter_id
limit %(most)s
