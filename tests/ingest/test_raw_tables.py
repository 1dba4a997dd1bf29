"""The raw tables in Dagster's UI: columns, owners, how much they hold, and what the last run stored."""

from typing import Any

import dagster as dg
import pytest

from assets.ingest import raw_tables
from assets.ingest.asset import config_of
from assets.ingest.plan import BatchPlan
from assets.ingest.raw_tables import TABLES, RawTotals
from assets.ingest.run import read
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
def test_the_totals_are_read_again_when_fifty_times_as_long_has_passed_as_they_took(world: World) -> None:
    ticks = iter([0.0, 0.1, 5.0, 5.2, 5.3])  # asked at 0, known at 0.1; the next reading is due at 5.1
    totals = RawTotals(lambda: next(ticks))

    def shown() -> int:
        return totals.of(connection)["raw.events"]["dagster/row_count"]

    with world.worker.postgres.connect("test") as connection:
        for after in (1, 1, 3):
            world.produce(encoded(event()))
            world.ingest()
            assert shown() == after


@pytest.mark.services
def test_many_rows_are_shown_as_soon_as_they_are_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_tables, "_COUNTED", 1)
    world.produce(encoded(*(event() for _ in range(30))))
    world.ingest()
    found = read(world.worker, RawTotals().of, 10)  # on the connection that has stored them
    assert found["raw.events"]["dagster/row_count"] == 30
