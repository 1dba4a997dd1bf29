"""The advisory locks of Millrace, all of them, in the order in which a session that needs several takes them.

What belongs here: their numbers, and what each keeps out. What does not: taking them (`statement`s of those who do).
The numbers are arbitrary and must never change: two releases may run side by side. Row locks come after them, in the
order that `assets.ingest.store` states. The picture as a whole: docs/architecture.md.

| lock | alone | shared |
|---|---|---|
| MIGRATION | `millrace migrate` | |
| DAGSTER_TABLES | the first process that makes Dagster's tables | |
| AGGREGATES | who rebuilds, erases, or changes all tables | a group of tables that takes new events in |
| GROUPS | a group of tables that takes new events in: one lock for each | |
| MARKS | who deletes marks that every group has taken | |
| PARTITIONS | who makes a partition of raw.events | |
| CORRECTIONS | who deletes stored rows: erasure, retention | replays and redrives |
| RULES | who changes what may be stored: erasure, retention | every transaction that stores |
| LEDGER | who folds the ledger | who records differences to earlier batches |
| METRICS | who reads and pushes the totals | |
"""

MIGRATION = 0x4D494C4C
DAGSTER_TABLES = 7_244_013_881
AGGREGATES = 0x4D494C41
GROUPS = {"hourly": 0x4D494C61, "users": 0x4D494C62, "security": 0x4D494C63}
MARKS = 0x4D494C64
PARTITIONS = 0x4D494C50
CORRECTIONS = 0x4D494C53
RULES = 0x4D494C52
LEDGER = 0x4D494C42
METRICS = 0x4D494C4D
