-- Whether any erasure reaches beyond the start of one of these ranges.
select
    exists(
        select 1
        from unnest(%(topic_ids)s::uuid[], %(partitions)s::integer[], %(starts)s::bigint[]) as c (topic_id, part, low)
        inner join ops.erasures as e on c.topic_id = e.topic_id and c.part = e.partition and c.low < e.up_to_offset
    ) as reach
