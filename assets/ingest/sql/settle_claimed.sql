-- The same for ids that were claimed under another time: the owner's row, if it was stored, decides. A producer that
-- stamps a retry anew is a minute away at most; beyond that a forged time would suppress the true event unseen.
with settled as (
    select
        s.position,
        e.type = s.type and e.payload = s.payload
        and e.occurred_at between s.occurred_at - interval '1 minute' and s.occurred_at + interval '1 minute' as same
    from staged_events as s
    inner join raw.events as e on s.claimed_at = e.occurred_at and s.event_id = e.event_id
    where
        s.claimed_at <> s.occurred_at
        and s.claimed_at >= %(low)s and s.claimed_at < %(high)s
        and e.occurred_at >= %(low)s and e.occurred_at < %(high)s
),

gone as (
    delete from staged_events as s
    using settled
    where s.position = settled.position
)

select
    settled.position,
    case when settled.same then 'duplicate' else 'conflict' end as verdict
from settled
