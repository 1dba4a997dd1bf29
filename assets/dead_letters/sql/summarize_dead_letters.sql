-- By code and declared field. A reason may name a key that a producer has made up: the group ends before it.
select
    d.code,
    substring(d.reason from %(place)s) as path,
    count(*) as dead_letters,
    max(d.dead_letter_id) as example,
    min(d.first_seen_at) as first,
    max(d.first_seen_at) as last
from chosen as d
group by d.code, path
order by count(*) desc, d.code asc, path asc
