"""The tables as SQLAlchemy metadata: what the migrations must add up to, and what the documentation is made from.

What belongs here: names, types, keys, comments; a module a schema, and `state` for the helper rows of the aggregates.
What does not: the aggregates (each declares its table in `assets.aggregates.tables`, and `assets.aggregates.catalog`
has the metadata with all of them), queries (they stand beside the code that runs them) and the way from one version to
the next (`migrations/versions`).
"""

from infra.postgres.tables import ops, raw, state
from infra.postgres.tables.model import metadata

__all__ = ["metadata", "ops", "raw", "state"]
