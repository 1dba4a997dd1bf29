"""The outside world: Kafka, Redis and PostgreSQL clients, each with its time-outs. No decisions about events."""
