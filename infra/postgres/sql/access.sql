grant usage on schema analytics, raw to millrace_analyst;
grant select on all tables in schema analytics to millrace_analyst;
alter default privileges in schema analytics grant select on tables to millrace_analyst;

-- Not on the partitions: who reads the parent reads them, and they come and go.
grant select on raw.events to millrace_analyst;

-- What a refused record held stays out of sight: key, value, headers, and the reason, which quotes it.
revoke all on raw.dead_letters from millrace_analyst;
grant select (
    dead_letter_id,
    topic,
    topic_id,
    partition,
    kafka_offset,
    kafka_timestamp,
    code,
    status,
    attempts,
    first_seen_at,
    last_attempt_at,
    run_id
) on raw.dead_letters to millrace_analyst;
