"""The columns of Dagster's tables that SQL of ours touches: an upgrade that renames or drops one fails here.

Dagster promises nothing about its tables. The list is written by hand; the second test holds that it is whole.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.tags import BACKFILL_ID_TAG, PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG
from sqlalchemy import MetaData

ROOT = Path(__file__).parents[2]
PACKAGES = ("contract", "resources", "monitoring", "producer", "infra", "assets", "sensors", "orchestration")
RUNS, EVENTS = RunStorageSqlMetadata, SqlEventLogStorageMetadata

TOUCHED: dict[str, tuple[MetaData, str]] = {
    "runs": (
        RUNS,
        "id run_id pipeline_name status run_body create_timestamp update_timestamp start_time end_time backfill_id",
    ),
    "run_tags": (RUNS, "run_id key value"),
    "daemon_heartbeats": (RUNS, "daemon_type timestamp"),
    "event_logs": (EVENTS, "id run_id event dagster_event_type asset_key partition"),
    "asset_keys": (EVENTS, "id asset_key last_materialization"),
    "asset_event_tags": (EVENTS, "event_id"),
    "asset_check_executions": (
        EVENTS,
        "id asset_key check_name partition run_id execution_status evaluation_event_storage_id create_timestamp",
    ),
}
_TABLE = re.compile(r"\bdagster\.(\w+)(?: as (\w+))?")


@pytest.mark.parametrize("table", TOUCHED)
def test_dagster_has_every_column_that_our_sql_touches(table: str) -> None:
    metadata, columns = TOUCHED[table]
    assert set(columns.split()) <= set(metadata.tables[table].columns.keys())


def test_the_list_is_what_our_sql_touches() -> None:
    """Columns without an alias are not seen: only a statement on one table has those, and the list has them by hand."""
    found: dict[str, set[str]] = defaultdict(set)
    for text in _statements():
        for table, alias in _TABLE.findall(text):
            found[table] |= set(re.findall(rf"(?<![\w.]){alias}\.(\w+)", text)) if alias else set()
    assert len(found) > 5
    lacking = {table: names - set(TOUCHED[table][1].split()) for table, names in found.items()}
    assert not any(lacking.values()), lacking


def _statements() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.sql"):
            yield "\n".join(line.partition("--")[0] for line in path.read_text().splitlines())


def test_tags_that_our_sql_looks_for_are_dagsters() -> None:
    found = {tag for text in _statements() for tag in re.findall(r"'(dagster/\w+)'", text)}
    assert found == {BACKFILL_ID_TAG, PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG}
