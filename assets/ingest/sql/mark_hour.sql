insert into ops.dirty_buckets (hour, low, high, events, batch_id, event_ids)
values (%(hour)s, %(low)s, %(high)s, %(events)s, %(batch_id)s, %(event_ids)s::uuid[])
