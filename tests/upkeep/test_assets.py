"""The upkeep in Dagster: every asset can be made, shows its figures, and is scheduled."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.upkeep.assets import Upkeep, asset_key, upkeep_assets
from assets.upkeep.dagster_history import RunHistory
from benchmarks.copied_runs import copy_run
from orchestration.factories import make_aggregates
from orchestration.jobs import UPKEEP_JOBS, upkeep_jobs
from sensors.upkeep_schedules import upkeep_schedules
from tests.support.world import World, encoded, event
from tests.upkeep.dagster_tables import instance_in


def definitions(upkeep: Upkeep | None = None) -> dg.Definitions:
    return dg.Definitions(
        assets=upkeep_assets(["team:platform"]),
        jobs=upkeep_jobs(),
        schedules=upkeep_schedules(UPKEEP_JOBS),
        resources={"upkeep": upkeep},
    )


def test_every_piece_of_upkeep_has_a_job_a_running_schedule_an_owner_and_a_description() -> None:
    made = definitions()
    for name, job in UPKEEP_JOBS.items():
        assert made.resolve_job_def(job).asset_layer.selected_asset_keys == {asset_key(name)}
        schedule = made.resolve_schedule_def(job)
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        assert schedule.execution_timezone == "UTC"
    for each in upkeep_assets(["team:platform"]):
        [spec] = each.specs
        assert spec.description
        assert spec.owners == ["team:platform"]
        assert spec.group_name == "upkeep"


@pytest.mark.services
def test_every_asset_shows_figures_and_table_sizes_and_trims_even_its_own_runs(world: World, tmp_path: Path) -> None:
    world.produce(encoded(event(), event()))
    world.ingest()
    history = RunHistory((*UPKEEP_JOBS.values(),), succeeded=timedelta(hours=6))
    upkeep = Upkeep(world.worker.postgres, make_aggregates(world.settings), history)
    with instance_in(world.settings.postgres_url, tmp_path / "home") as instance:
        made = definitions(upkeep)
        first = made.resolve_job_def(UPKEEP_JOBS["partitions"]).execute_in_process(instance=instance)
        copy_run(world.worker.postgres, first.run_id, 10, timedelta(hours=7))
        shown: dict[str, dict[str, object]] = {}
        for name in UPKEEP_JOBS:
            run = made.resolve_job_def(UPKEEP_JOBS[name]).execute_in_process(instance=instance)
            [materialized] = run.asset_materializations_for_node(f"upkeep__{name}")
            shown[name] = {key: value.value for key, value in materialized.metadata.items()}
    assert shown["partitions"]["partitions"] == 8
    assert "raw.events" in str(shown["partitions"]["raw_tables"])
    assert shown["dagster_history"]["runs_deleted"] == 10
    assert "dagster.event" in str(shown["dagster_history"]["dagster_tables"]).replace("\\", "")
    assert shown["ledger"]["batches"] == 0
    assert shown["retention"]["retention_days"] == "off"
    assert shown["reused_ids"]["ids"] == 0
