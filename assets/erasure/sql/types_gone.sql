select
    g.user_id,
    g.type,
    count(*) as events
from gone as g
group by g.user_id, g.type
