-- How many dead letters are chosen, and the last of them.
select
    count(*) as chosen,
    coalesce(max(d.dead_letter_id), 0) as last
from chosen as d
