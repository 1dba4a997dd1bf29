"""Simulated traffic: users with sessions, written to Kafka. Knows nothing of how events are stored."""
