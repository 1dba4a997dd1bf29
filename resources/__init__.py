"""Clients of Kafka, Redis, PostgreSQL and the Pushgateway, each with its time-outs. No decisions about events."""
