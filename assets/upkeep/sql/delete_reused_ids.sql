delete from ops.reused_ids
where found_at < %(before)s
