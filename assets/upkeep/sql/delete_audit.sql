delete from ops.audit_log as a
where a.audit_id = any(
    array(
        select o.audit_id from ops.audit_log as o
        where o.at < %(before)s
        order by o.at
        limit %(most)s
    )
)
