select
    g.type,
    count(*) as events
from gone as g
group by g.type
