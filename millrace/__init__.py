"""Millrace: user-activity events from Kafka into PostgreSQL, exactly once. The rooms are described in docs/adr/0001."""
