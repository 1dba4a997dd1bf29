-- `emptied`: discarded, and what it held was deleted since.
select
    d.dead_letter_id,
    case when d.value is null then 'emptied' else d.status end as status
from raw.dead_letters as d
where d.dead_letter_id = any(%(ids)s)
