"""The raw tables in Dagster's UI: columns, owners, how much they hold, and what the last run stored."""

from typing import Any

import dagster as dg
import pytest

from assets.ingest.asset import config_of
from assets.ingest.plan import BatchPlan
from assets.ingest.raw_tables import TABLES, RawTotals
from infra.postgres.tables import metadata
from orchestration.definitions import build_defs
from orchestration.settings import load
from tests.support.world import World, encoded, event

PLACES = {
    "MILLRACE_POSTGRES_URL": "postgresql://h/db",
    "MILLRACE_REDIS_URL": "redis://h",
    "MILLRACE_BROKER_URL": "redis://h:2",
    "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "h:1",
    "MILLRACE_ASSET_OWNERS": "team:data",
}


@pytest.mark.parametrize("table", TABLES)
def test_a_raw_table_shows_every_column_with_its_comment_and_its_owners(table: str) -> None:
    graph = build_defs(load(PLACES)).resolve_asset_graph()
    node = graph.get(dg.AssetKey(table.split(".")))
    schema: Any = node.metadata["dagster/column_schema"]
    expected = {c.name: c.comment for c in metadata.tables[table].columns}
    assert {c.name: c.description for c in schema.columns} == expected
    assert all(expected.values())
    assert node.owners == ["team:data"]
    assert node.metadata["dagster/table_name"] == table
    assert "dagster/storage_kind" in node.tags
    assert node.description


@pytest.mark.services
def test_row_count_is_that_of_the_table_and_the_last_run_s_has_a_name_of_its_own(world: World) -> None:
    defs = build_defs(world.settings, world.worker, world.aggregates)
    shown: dict[str, Any] = {}
    with dg.DagsterInstance.ephemeral() as instance:
        for values in ([b"{", *encoded(event(), event())], encoded(event())):
            world.produce(values)
            [ranges] = world.plans()
            job = defs.resolve_job_def("ingest")
            job.execute_in_process(instance=instance, run_config=config_of(BatchPlan(0, ranges)))
        for table in TABLES:
            made = instance.get_latest_materialization_event(dg.AssetKey(table.split(".")))
            assert made is not None
            assert made.asset_materialization is not None
            shown[table] = made.asset_materialization.metadata
    assert [shown[table]["rows_of_last_run"].value for table in TABLES] == [1, 0]
    assert shown["raw.events"]["total_bytes"].value > 0
    assert shown["raw.dead_letters"]["dagster/row_count"].value == 1


@pytest.mark.services
def test_the_totals_are_read_once_a_minute(world: World) -> None:
    world.produce(encoded(event()))
    world.ingest()
    totals = RawTotals()
    with world.worker.postgres.connect("test") as connection:
        assert totals.of(connection)["raw.events"]["dagster/row_count"] == 1
        world.produce(encoded(event()))
        world.ingest()
        assert totals.of(connection)["raw.events"]["dagster/row_count"] == 1
        assert RawTotals().of(connection)["raw.events"]["dagster/row_count"] == 2
