-- Dead letters whose bytes hold the id in one of the ways in which JSON writes it, or whose key it is.
select
    d.dead_letter_id,
    d.key,
    d.value
from raw.dead_letters as d
where
    d.key = any(%(keys)s::bytea[])
    or exists (
        select 1 from unnest(%(keys)s::bytea[]) as w (way)
        where position(w.way in d.value) > 0
    )
order by d.dead_letter_id
