insert into ops.dirty_buckets (hour, low, high, events, batch_id, event_ids, windows)
values (
    %(hour)s, %(low)s, %(high)s, %(events)s, %(batch_id)s, %(event_ids)s::uuid[],
    (
        select range_agg(tstzrange(w.low, w.high, '[]'))
        from unnest(%(lows)s::timestamptz[], %(highs)s::timestamptz[]) as w (low, high)
    )
)
