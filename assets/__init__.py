"""What is materialized: the raw tables (ingest) and the checks on them (quality). No clocks, no schedules."""
