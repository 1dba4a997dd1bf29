-- Begins to track hours, whose slot holds their day or nothing. What a release that knows no members left of them goes.
delete from ops.hour_members as m
using arrived_hours as h
where h.begins and m.slot = h.slot and m.hour = h.number;

insert into ops.hour_members (slot, hour, member)
select
    h.slot,
    h.number,
    '00000000-0000-0000-0000-000000000000'::uuid as member
from arrived_hours as h
where h.begins
