-- Begins to track hours, whose slot holds their day or nothing.
insert into ops.hour_members (slot, hour, member)
select
    h.slot,
    h.number,
    '00000000-0000-0000-0000-000000000000'::uuid as member
from arrived_hours as h
where h.begins
