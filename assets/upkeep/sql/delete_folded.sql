delete from ops.batches
where batch_id > %(first)s and batch_id <= %(last)s
