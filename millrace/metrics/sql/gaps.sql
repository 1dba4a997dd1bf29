-- Losses by reason, and how many offsets were lost, where that is known.
select
    g.reason,
    count(*) as gaps,
    coalesce(sum(g.end_offset - g.start_offset), 0)::float8 as offsets
from ops.gaps as g
group by g.reason
