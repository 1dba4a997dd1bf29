"""The views of schema `analytics` as external assets: by type of event, and those that show how things are now.

What belongs here: their specs, made from the views themselves. What does not: what a view selects
(`infra.postgres.views`).
"""

from functools import cache
from typing import Any

import dagster as dg

from assets.aggregates.specs import key_of
from contract.contract import Contract
from infra.postgres.views import SCHEMA, View, views

_EVENTS = "raw.events"
_STORED = {name: name for name in ("event_id", "occurred_at", "user_id", "ingested_at")}
_STORED["kafka_topic"] = "kafka_topic_id"
_UPSTREAM = {"live": f"{SCHEMA}.events_minutely", "freshness": _EVENTS, "topics": _EVENTS}
_UPSTREAM["dead_letters"] = "raw.dead_letters"


@cache
def view_keys() -> tuple[dg.AssetKey, ...]:
    """The assets of all views."""
    return tuple(key_of(f"{SCHEMA}.{view.name}") for view in views(Contract()))


def view_specs(contract: Contract, owners: tuple[str, ...]) -> list[dg.AssetSpec]:
    """All views. They are what their tables are: a refresh of these reports them once a minute."""
    return [_spec(view, owners) for view in views(contract)]


def _spec(view: View, owners: tuple[str, ...]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key_of(f"{SCHEMA}.{view.name}"),
        deps=[key_of(_UPSTREAM.get(view.name, _EVENTS))],
        group_name="views",
        owners=list(owners),
        kinds={"postgres", "view"},
        description=f"{view.comment}\n\nA view with one row per {view.grain}. All times are UTC. "
        "How to query it: docs/analysts.md.",
        metadata=_metadata(view),
        tags={"grain": view.grain.replace(" ", "_")},
    )


def _metadata(view: View) -> dict[str, Any]:
    columns = [dg.TableColumn(c.name, type=c.type, description=c.comment) for c in view.columns]
    found: dict[str, Any] = {
        "dagster/table_name": f"{SCHEMA}.{view.name}",
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "definition": dg.MetadataValue.md(f"```sql\n{view.query}\n```"),
    }
    if view.name not in _UPSTREAM:
        found["dagster/column_lineage"] = dg.TableColumnLineage(
            {c.name: [dg.TableColumnDep(key_of(_EVENTS), _STORED.get(c.name, "payload"))] for c in view.columns}
        )
    return found
