"""Trimming Dagster's tables: old runs go whole, and whatever the UI stands on stays and still answers."""

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.upkeep.dagster_history import RunHistory, Trimmed, trim
from benchmarks.copied_runs import copy_run
from infra.local.harness import Running
from resources.postgres import Postgres
from sensors.run_failures import RunFailures
from tests.support.world import World, fresh_world
from tests.upkeep.dagster_tables import instance_in

pytestmark = pytest.mark.services

JOBS = ("ingest", "refresh_aggregates")
LONG_AGO = timedelta(hours=7)
DAYS = dg.DailyPartitionsDefinition("2026-01-01")


@dg.asset
def stored() -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(metadata={"rows": 1})


@dg.asset(partitions_def=DAYS)
def daily() -> None: ...


@dg.asset_check(asset=stored)
def counted() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.op
def broken() -> None:
    raise RuntimeError("broken")


@dg.op
def look(context: dg.OpExecutionContext) -> None:
    context.log_event(dg.AssetObservation("observed"))


@dg.job
def looking() -> None:
    look()


@dg.job(name="refresh_aggregates")
def failing() -> None:
    broken()


DEFINITIONS = dg.Definitions(
    assets=[stored, daily],
    asset_checks=[counted],
    jobs=[
        dg.define_asset_job("ingest", dg.AssetSelection.assets(stored)),
        dg.define_asset_job("by_day", dg.AssetSelection.assets(daily)),
        dg.define_asset_job("checking", dg.AssetSelection.checks(counted)),
        failing,
        looking,
    ],
)


@dataclass
class History:
    """An instance in the test's database, and what is in its tables."""

    world: World
    instance: dg.DagsterInstance

    def run(self, job: str = "ingest", **more: Any) -> str:
        definition = DEFINITIONS.resolve_job_def(job)
        done = definition.execute_in_process(instance=self.instance, raise_on_error=False, **more)
        return done.run_id

    def copies(self, run_id: str, times: int = 1, back: timedelta = LONG_AGO) -> list[str]:
        return copy_run(self.world.worker.postgres, run_id, times, back, timedelta(seconds=1))

    def age(self, *runs: str, back: timedelta = LONG_AGO) -> None:
        self.world.query(
            "update dagster.runs set update_timestamp = update_timestamp - %s where run_id = any(%s)", back, list(runs)
        )

    def trim(self, jobs: tuple[str, ...] = JOBS, **more: Any) -> Trimmed:
        batch = more.pop("batch", 500)
        return trim(self.world.worker.postgres, RunHistory(jobs, batch=batch), **more)

    def runs(self) -> set[str]:
        return {run_id for (run_id,) in self.world.query("select run_id from dagster.runs")}

    def ended(self) -> dict[tuple[str, str], int]:
        """Runs by job and result: those that are counted, and those that are still there."""
        rows = self.world.query(
            "select labels[1], labels[2], amount::int from ops.totals where metric = 'millrace_runs_total' union all"
            " select pipeline_name, lower(status), count(*)::int from dagster.runs"
            " where status in ('SUCCESS', 'FAILURE', 'CANCELED') group by 1, 2"
        )
        found: Counter[tuple[str, str]] = Counter()
        for job, result, runs in rows:
            found[job, result] += runs
        return dict(found)

    def orphans(self) -> list[int]:
        """Rows that belong to a run or an event that is gone: events, their tags, checks, run tags."""
        without_run = (
            "select count(*) from dagster.{} as t"
            " where not exists (select from dagster.runs as r where r.run_id = t.run_id)"
        )
        without_event = (
            "select count(*) from dagster.asset_event_tags as t"
            " where not exists (select from dagster.event_logs as e where e.id = t.event_id)"
        )
        tables = ("event_logs", "asset_check_executions", "run_tags")
        return [self.world.one(q) for q in (*(without_run.format(t) for t in tables), without_event)]


@pytest.fixture(scope="module")
def shared(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """One database for all of these tests: to make Dagster's tables takes longer than most of them."""
    directory = tmp_path_factory.mktemp("history")
    with (
        fresh_world(services, directory) as world,
        instance_in(world.settings.postgres_url, directory / "home") as instance,
    ):
        yield History(world, instance)


@pytest.fixture
def history(shared: History) -> History:
    """Without any history."""
    tables = ("runs", "run_tags", "event_logs", "asset_event_tags", "asset_check_executions", "asset_keys")
    shared.world.query(f"truncate {', '.join('dagster.' + table for table in tables)}")
    shared.world.query("truncate ops.totals, ops.failed_runs, ops.failure_causes")
    return shared


def test_old_runs_go_with_everything_that_they_wrote_and_the_ui_still_answers(history: History) -> None:
    first = history.run()
    old = history.copies(first, 30)
    newest = history.run()
    # Copies have higher ids than the run that they are copies of: that one is the oldest here.
    history.age(first)
    trimmed = history.trim()
    assert trimmed.runs == 31
    assert history.runs() == {newest}
    assert history.orphans() == [0, 0, 0, 0]
    asset, check = dg.AssetKey("stored"), dg.AssetCheckKey(dg.AssetKey("stored"), "counted")
    instance = history.instance
    event = instance.get_latest_materialization_event(asset)
    assert event is not None
    assert event.run_id == newest
    assert [r.run_id for r in instance.fetch_materializations(asset, limit=10).records] == [newest]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])[check]
    assert latest.run_id == newest
    assert [r.run_id for r in instance.event_log_storage.get_asset_check_execution_history(check, limit=5)] == [newest]
    assert instance.get_run_stats(newest).materializations == 1
    assert not any(instance.has_run(run) for run in old)


def test_the_newest_run_of_an_asset_and_of_a_check_stays_however_old_it_is(history: History) -> None:
    run = history.run()
    history.age(run, back=timedelta(days=400))
    assert history.trim().kept == 1
    assert history.runs() == {run}


def test_the_newest_execution_of_a_check_stays_also_where_nothing_was_materialized(history: History) -> None:
    runs = [history.run("checking") for _ in range(2)]
    history.age(*runs)
    history.trim(("checking",))
    assert history.runs() == {runs[1]}


def test_of_checks_that_were_reported_without_a_run_the_newest_stays(history: History) -> None:
    key = dg.AssetKey("stored")
    for passed in (True, True, False):
        history.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=key, check_name="counted", passed=passed)
        )
    assert history.trim().rows["runless_checks"] == 0
    assert history.trim(now=datetime.now(UTC) + LONG_AGO).rows["runless_checks"] == 2
    assert history.world.query(
        "select c.execution_status, e.id = c.evaluation_event_storage_id"
        " from dagster.asset_check_executions as c cross join dagster.event_logs as e"
    ) == [("FAILED", True)]


def test_what_a_refresh_told_of_a_partition_goes_when_a_rebuild_has_told_it_again(history: History) -> None:
    key = dg.AssetKey("told")
    for partition in ("a", "a", "b"):
        history.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    assert history.trim().rows["superseded_partitions"] == 1
    assert history.trim().rows["superseded_partitions"] == 0
    assert history.instance.get_materialized_partitions(key) == {"a", "b"}


def test_young_runs_running_ones_and_those_of_other_jobs_stay(history: History) -> None:
    first = history.run()
    young = history.copies(first, back=timedelta(hours=5))
    other, running, cancelled = history.copies(first, 3)
    history.world.query("update dagster.runs set pipeline_name = 'by_hand' where run_id = %s", other)
    history.world.query("update dagster.runs set status = 'STARTED' where run_id = %s", running)
    history.world.query("update dagster.runs set status = 'CANCELED' where run_id = %s", cancelled)
    newest = history.run()
    history.age(first)
    history.trim()
    assert history.runs() == {*young, other, running, cancelled, newest}


def test_failed_runs_stay_longer(history: History) -> None:
    failed = history.run("refresh_aggregates")
    recent = history.copies(failed, back=timedelta(days=6))
    history.copies(failed, back=timedelta(days=8))
    assert history.trim().runs == 1
    assert history.runs() == {failed, *recent}


def test_the_newest_event_of_each_partition_stays(history: History) -> None:
    one = history.run("by_day", partition_key="2026-01-01")
    two = history.run("by_day", partition_key="2026-01-02")
    again = history.run("by_day", partition_key="2026-01-02")
    newest = history.run("by_day", partition_key="2026-01-03")
    history.age(one, two, again, newest)
    assert history.trim(("by_day",)).runs == 1
    assert history.runs() == {one, again, newest}
    assert history.instance.get_materialized_partitions(dg.AssetKey("daily")) == {
        "2026-01-01",
        "2026-01-02",
        "2026-01-03",
    }


def test_the_newest_observation_stays(history: History) -> None:
    runs = [history.run("looking") for _ in range(2)]
    history.age(*runs)
    assert history.trim(("looking",)).runs == 1
    assert history.instance.fetch_observations(dg.AssetKey("observed"), limit=1).records


def test_runs_of_a_backfill_and_runs_that_were_executed_again_stay(history: History) -> None:
    first = history.run()
    tagged, by_column, repeated, plain = history.copies(first, 4)
    tag = "insert into dagster.run_tags (run_id, key, value) values (%s, %s, %s)"
    history.world.query(tag, tagged, "dagster/backfill", "abc")
    history.world.query("update dagster.runs set backfill_id = 'abc' where run_id = %s", by_column)
    newest = history.run()
    again = history.instance.create_run_for_job(
        DEFINITIONS.resolve_job_def("ingest"),
        parent_run_id=repeated,
        root_run_id=repeated,
        tags={"dagster/parent_run_id": repeated, "dagster/root_run_id": repeated},
    )
    history.age(first)
    history.trim()
    assert history.runs() == {tagged, by_column, repeated, newest, again.run_id}
    assert plain not in history.runs()
    assert history.instance.get_run_group(again.run_id) is not None


def test_killed_in_the_middle_it_leaves_whole_runs(history: History) -> None:
    first = history.run()
    history.copies(first, 25)
    newest = history.run()
    history.age(first)
    left = [2]

    def killed(_point: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        history.trim(batch=10, failpoint=killed)
    assert len(history.runs()) == 7
    assert history.orphans() == [0, 0, 0, 0]
    per_run = history.world.query("select count(*), count(distinct run_id) from dagster.event_logs")
    assert per_run[0][0] % per_run[0][1] == 0
    history.trim(batch=10)
    assert history.runs() == {newest}


def test_two_trims_at_once_do_not_disturb_each_other(history: History) -> None:
    first = history.run()
    history.copies(first, 200)
    newest = history.run()
    history.age(first)
    found: list[Trimmed] = []
    threads = [threading.Thread(target=lambda: found.append(history.trim(batch=10))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(trimmed.runs for trimmed in found) == 201
    assert history.runs() == {newest}
    assert history.orphans() == [0, 0, 0, 0]


def test_runs_that_are_trimmed_stay_counted_also_when_a_trim_is_killed_or_two_trim_at_once(history: History) -> None:
    first, failed = history.run(), history.run("refresh_aggregates")
    history.copies(first, 30)
    canceled = history.copies(first, 3, back=timedelta(days=8))
    history.world.query("update dagster.runs set status = 'CANCELED' where run_id = any(%s)", canceled)
    history.copies(failed, 4, back=timedelta(days=8))
    history.run()
    history.age(first)
    before = history.ended()
    assert before == {
        ("ingest", "success"): 32,
        ("ingest", "canceled"): 3,
        ("refresh_aggregates", "failure"): 5,
    }
    left = [2]

    def killed(_point: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        history.trim(batch=5, failpoint=killed)
    assert len(history.runs()) == 30
    assert history.ended() == before
    threads = [threading.Thread(target=lambda: history.trim(batch=5)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.runs()) == 2
    assert history.ended() == before
    assert history.world.one("select sum(amount)::int from ops.totals") == 38


def test_a_failed_run_is_known_as_counted_for_as_long_as_it_is_there(history: History) -> None:
    """Else the sensor run_failures would count it again."""
    failed = history.run("refresh_aggregates")
    trimmed = history.copies(failed, 2, back=timedelta(days=8))
    by_hand = history.copies(failed, back=timedelta(days=8))
    history.world.query("update dagster.runs set pipeline_name = 'by_hand' where run_id = any(%s)", by_hand)
    sensor, log = RunFailures(history.world.worker.postgres), logging.getLogger("test")
    sensor.tick(lambda: log)
    counted = "select run_id from ops.failed_runs"
    assert {run for (run,) in history.world.query(counted)} == {failed, *trimmed, *by_hand}
    assert history.trim().rows["failed_runs"] == 2
    assert {run for (run,) in history.world.query(counted)} == {failed, *by_hand}
    assert sensor.tick(lambda: log) == "no new failures"
    assert history.world.one("select sum(runs)::int from ops.failure_causes") == 4


def test_without_dagsters_tables_there_is_nothing_to_do(services: Running) -> None:
    url = services.environment["MILLRACE_POSTGRES_URL"].rsplit("/", 1)[0] + "/template1"
    assert trim(Postgres(url), RunHistory(JOBS), datetime.now(UTC)).runs == 0
