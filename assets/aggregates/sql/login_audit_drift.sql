-- Rows of the range as it is now, and rows of it that differed.
select
    (
        select count(*)
        from analytics.login_audit as l
        where l.occurred_at >= %(low)s and l.occurred_at < %(high)s
    ) as in_range,
    (
        select count(*)
        from (
            select
                c.occurred_at,
                c.event_id
            from audit_changed as c
            union
            select
                j.occurred_at,
                j.event_id
            from audit_judged as j
            where j.occurred_at >= %(low)s and j.occurred_at < %(high)s
        ) as d
    ) as differed
