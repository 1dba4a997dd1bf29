-- Done with those whose session ends well before the end of what was read.
update session_edges as x set open = false
where
    x.open
    and case
        when %(backward)s then x.reach - interval '30 minutes' >= %(low)s
        else x.reach + interval '30 minutes' < %(high)s
    end
