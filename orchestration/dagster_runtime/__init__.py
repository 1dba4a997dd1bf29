"""How Dagster runs here: storages, launcher, workers, the fast daemon and the instance that ties them together.

What belongs here: everything that stands between a sensor's decision and an op's first line. What does not: what the
sensors decide, what the ops do, and the definitions themselves (`orchestration.definitions`). Nothing here knows Kafka.
"""
