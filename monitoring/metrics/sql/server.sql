-- What an open transaction, used-up numbers of transactions and unread notifications have come to, in the whole server.
select
    ops.oldest_transaction_seconds() as oldest_transaction,
    (
        select max(greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)))::double precision
        from pg_database as d
    ) as transaction_ids,
    pg_notification_queue_usage() as notifications
