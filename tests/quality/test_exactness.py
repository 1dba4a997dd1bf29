"""The checks: right while ingest runs and events wait, and each of them can fail."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.loader import LoadingContextForTest

from assets.aggregates.assets import HOURLY
from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.marks import GROUPS
from assets.aggregates.specs import key_of
from assets.periods import TimeSpan, hour_key
from assets.quality.checks import TABLES, check_key
from assets.quality.exactness import CHECKS, CheckResult, disagreements, look, some_days
from orchestration.definitions import build_defs
from tests.orchestration.test_definitions_assets import definitions
from tests.support.world import World, encoded, event

LONG = timedelta(hours=1)


def this_hour() -> datetime:
    """By the clock of the test, as the checks see it: these tests may begin an hour after they were collected."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def visit(minutes: int, user: str = "u1") -> dict[str, object]:
    """A page view so many minutes before or after the start of this hour."""
    return event(
        timestamp=(this_hour() + timedelta(minutes=minutes)).isoformat(), payload={"userId": user, "page": "/"}
    )


def login(minutes: int) -> dict[str, object]:
    """A login so many minutes before or after the start of this hour."""
    payload = {"userId": "u3", "ip": "192.0.2.1", "device": "d"}
    return event(kind="login", timestamp=(this_hour() + timedelta(minutes=minutes)).isoformat(), payload=payload)


@pytest.fixture
def filled(world: World) -> World:
    """Sessions within the hours that are compared, and across both of their edges."""
    times = [*range(-150, -100, 20), -90, -65, -62, -58, -20, -5]
    world.produce(
        encoded(
            *(visit(m) for m in times),
            *(visit(m, "u2") for m in (-130, -61)),
            login(-70),
            login(-66),
            event(kind="page_view"),
        )
    )
    world.ingest()
    return world


def failed(world: World, freshness: timedelta = LONG, spans: list[TimeSpan] | None = None) -> list[str]:
    found = look(world.worker.postgres, spans, freshness)
    assert [each.check for each in found] == list(CHECKS)
    return [each.check for each in found if not each.passed]


def finding(world: World, check: str) -> CheckResult:
    return next(each for each in look(world.worker.postgres, None, LONG) if each.check == check)


@pytest.mark.services
def test_everything_is_right_while_events_wait_and_when_they_are_taken_in(filled: World) -> None:
    assert failed(filled) == []
    assert finding(filled, "session_events_equal_raw").figures["waiting"] > 0
    filled.refresh()
    assert failed(filled) == []
    assert finding(filled, "session_events_equal_raw").figures["waiting"] == 0
    filled.produce(encoded(visit(-30), visit(-61)))
    filled.ingest()
    assert failed(filled) == []


@pytest.mark.services
@pytest.mark.parametrize("edge", [-1, 0, 1, 2])
def test_sessions_that_cross_an_edge_are_counted_to_the_event(filled: World, edge: int) -> None:
    filled.refresh()
    low = this_hour() - timedelta(hours=2) + timedelta(hours=edge - 1)
    assert failed(filled, spans=[TimeSpan(low, low + timedelta(hours=1))]) == []


@pytest.mark.services
@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("minute_counts_equal_raw", "update analytics.events_minutely set events = events + 1"),
        ("minute_counts_equal_raw", "delete from analytics.events_minutely"),
        ("hourly_counts_equal_raw", "update analytics.events_hourly set events = events + 1"),
        ("hourly_counts_equal_raw", "delete from analytics.events_hourly"),
        ("session_events_equal_raw", "update analytics.sessions set events = events - 1"),
        ("session_events_equal_raw", "delete from analytics.sessions"),
        ("login_audit_equals_raw", "delete from analytics.login_audit where flags = '{}'"),
        ("login_audit_equals_raw", "update analytics.login_audit set event_id = gen_random_uuid()"),
        ("ledger_equals_tables", "update ops.batches set records = records + 1, stored = stored + 1"),
    ],
)
def test_a_wrong_table_is_found_by_its_check(filled: World, check: str, damage: str) -> None:
    filled.refresh()
    filled.query(damage)
    spans = [TimeSpan(this_hour() - timedelta(hours=4), this_hour() + timedelta(hours=1))]
    assert check in failed(filled, spans=spans)


@pytest.mark.services
def test_what_only_other_tables_are_counted_from_is_found_too(filled: World) -> None:
    filled.refresh()
    filled.query("update analytics.logins_hourly set logouts = logouts + 1")
    filled.query("update ops.user_days set events = events - 1")
    filled.query("update analytics.active_users_daily set dau = dau + 1")
    filled.query("delete from analytics.pages_hourly")
    filled.query("update analytics.referrers_hourly set views = views + 1")
    assert {*failed(filled)} == {
        "logins_hourly_equals_audit",
        "user_days_equal_minutes",
        "active_users_equal_user_days",
        "pages_hourly_equals_raw",
        "referrers_hourly_equals_raw",
    }


@pytest.mark.services
@pytest.mark.parametrize("group", ["hourly", "users", "security"])
def test_what_one_group_of_tables_has_taken_and_others_have_not_is_no_disagreement(filled: World, group: str) -> None:
    def stop(name: str) -> None:
        if name in {f"{other}_before_commit" for other in GROUPS if other != group}:
            raise InterruptedError

    filled.aggregates.failpoint = stop
    with pytest.raises(InterruptedError):
        filled.refresh()
    filled.aggregates.failpoint = lambda _: None
    assert failed(filled) == []


@pytest.mark.services
def test_an_hour_that_waits_for_too_long_is_found(filled: World) -> None:
    filled.query("update ops.dirty_buckets set marked_at = marked_at - interval '31 seconds'")
    assert failed(filled, timedelta(seconds=15)) == ["no_hour_waits_too_long"]


@pytest.mark.services
def test_what_lies_behind_the_retention_frontier_is_not_compared(filled: World) -> None:
    filled.refresh()
    filled.query("delete from raw.events where occurred_at < now() - interval '1 hour'")
    assert failed(filled) != []
    filled.query("insert into ops.retention_frontier (frontier) values (%s)", this_hour() + timedelta(hours=1))
    assert failed(filled) == []


def test_every_table_by_hour_has_a_check() -> None:
    assert {AGGREGATES[name].table for name in HOURLY} <= set(TABLES.values())


def test_a_disagreement_names_both_figures() -> None:
    figures = {
        "records": 9,
        "stored": 5,
        "dead_letters": 2,
        "duplicates": 2,
        "counted_events": 4,
        "kept_dead_letters": 2,
    }
    figures |= {"range_records": 9, "range_stored": 5, "range_duplicates": 2}
    assert disagreements(figures) == ["the ledger says 5 stored, 4 events are counted by minute"]


def test_of_a_long_range_three_days_are_looked_at() -> None:
    low = datetime(2026, 1, 1, tzinfo=UTC)
    assert some_days(TimeSpan(low, low + timedelta(hours=5))) == [TimeSpan(low, low + timedelta(hours=5))]
    assert len(some_days(TimeSpan(low, low + timedelta(days=90)))) == 3


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.mark.services
def test_in_dagster_each_check_stands_on_its_table_with_its_verdict_and_its_figures(
    filled: World, instance: dg.DagsterInstance
) -> None:
    filled.refresh()
    filled.query("update analytics.events_hourly set events = events + 1")
    result = check_all(filled, instance)
    assert result.success
    found = [each for each in result.get_asset_check_evaluations() if each.partition is None]
    assert {each.check_name: ".".join(each.asset_key.path) for each in found} == TABLES
    assert [each.check_name for each in found if not each.passed] == ["hourly_counts_equal_raw"]
    assert all("said" in each.metadata for each in found)


@pytest.mark.services
def test_a_failure_stays_in_view_until_it_is_mended(filled: World, instance: dg.DagsterInstance) -> None:
    filled.refresh()
    rebuild(filled, instance, this_hour() - timedelta(hours=3))  # tells of every hour
    time.sleep(1)  # Dagster's SQLite knows whole seconds: a check of the same one would count as made before
    filled.query(
        "update analytics.events_hourly set events = events + 1 where hour = %s", this_hour() - timedelta(hours=1)
    )
    check_all(filled, instance)
    refreshed(instance)
    assert in_view(instance, "hourly_counts_equal_raw") is False
    assert in_view(instance, "minute_counts_equal_raw") is True
    rebuild(filled, instance, this_hour() - timedelta(hours=3))
    refreshed(instance)
    assert in_view(instance, "hourly_counts_equal_raw") is False, "another hour is right, that one is still wrong"
    rebuild(filled, instance, this_hour() - timedelta(hours=1))
    refreshed(instance)
    assert in_view(instance, "hourly_counts_equal_raw") is True


def check_all(world: World, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_defs(world.settings, world.worker, world.aggregates).resolve_job_def("check_exactness")
    return job.execute_in_process(instance=instance)


def rebuild(world: World, instance: dg.DagsterInstance, hour: datetime) -> None:
    job = build_defs(world.settings, world.worker, world.aggregates).resolve_job_def("rebuild_hourly_tables")
    assert job.execute_in_process(instance=instance, partition_key=hour_key(hour)).success


def refreshed(instance: dg.DagsterInstance) -> None:
    """Every table is materialized as a whole, as each refresh does."""
    for table in set(TABLES.values()):
        instance.report_runless_asset_event(dg.AssetMaterialization(key_of(table)))


def in_view(instance: dg.DagsterInstance, name: str) -> bool | None:
    """What the table's page shows of a check: None if it takes the newest evaluation for outdated."""
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([check_key(name)])[check_key(name)]
    newest = asyncio.run(record.targets_latest_materialization(LoadingContextForTest(instance)))
    return record.evaluation.passed if newest and record.evaluation else None


def test_an_ingest_run_looks_at_no_check() -> None:
    jobs = {name: definitions().resolve_job_def(name) for name in ("ingest", "rebuild_daily_tables", "check_exactness")}
    assert {name: {node.name for node in job.nodes} for name, job in jobs.items()} == {
        "ingest": {"ingest_ranges"},
        "rebuild_daily_tables": {"rebuild_days", "compare_with_raw"},
        "check_exactness": {"compare_with_raw"},
    }
