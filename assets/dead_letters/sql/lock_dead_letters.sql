-- In the order of coordinates, as everything that locks dead letters.
select d.dead_letter_id from raw.dead_letters as d
where d.dead_letter_id = any(%(ids)s) and d.status = any(%(statuses)s)
order by d.topic_id, d.partition, d.kafka_offset
for update of d
