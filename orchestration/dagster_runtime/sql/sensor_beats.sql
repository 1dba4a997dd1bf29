-- When the sensor daemon last showed a sign of life; Dagster writes UTC without saying so.
select max(timestamp) at time zone 'UTC' as beat
from dagster.daemon_heartbeats
where daemon_type = 'SENSOR'
