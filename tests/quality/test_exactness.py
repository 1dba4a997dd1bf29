"""The checks: right while ingest runs and events wait, and each of them can fail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from assets.quality.exactness import CHECKS, CheckedHours, CheckResult, disagreements, look, some_days
from orchestration.definitions import build_defs
from tests.support.world import World, encoded, event

NOW = datetime.now(UTC)
HOUR = NOW.replace(minute=0, second=0, microsecond=0)
LONG = timedelta(hours=1)


def visit(minutes: int, user: str = "u1") -> dict[str, object]:
    """A page view so many minutes before or after the start of this hour."""
    return event(timestamp=(HOUR + timedelta(minutes=minutes)).isoformat(), payload={"userId": user, "page": "/"})


def login(minutes: int) -> dict[str, object]:
    """A login so many minutes before or after the start of this hour."""
    payload = {"userId": "u3", "ip": "192.0.2.1", "device": "d"}
    return event(kind="login", timestamp=(HOUR + timedelta(minutes=minutes)).isoformat(), payload=payload)


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


def failed(world: World, freshness: timedelta = LONG, spans: list[CheckedHours] | None = None) -> list[str]:
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
    low = HOUR - timedelta(hours=2) + timedelta(hours=edge - 1)
    assert failed(filled, spans=[CheckedHours(low, low + timedelta(hours=1))]) == []


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
    spans = [CheckedHours(HOUR - timedelta(hours=4), HOUR + timedelta(hours=1))]
    assert check in failed(filled, spans=spans)


@pytest.mark.services
def test_an_hour_that_waits_for_too_long_is_found(filled: World) -> None:
    filled.query("update ops.dirty_buckets set marked_at = marked_at - interval '31 seconds'")
    assert failed(filled, timedelta(seconds=15)) == ["no_hour_waits_too_long"]


@pytest.mark.services
def test_what_lies_behind_the_retention_frontier_is_not_compared(filled: World) -> None:
    filled.refresh()
    filled.query("delete from raw.events where occurred_at < now() - interval '1 hour'")
    assert failed(filled) != []
    filled.query("insert into ops.retention_frontier (frontier) values (%s)", HOUR + timedelta(hours=1))
    assert failed(filled) == []


def test_a_disagreement_names_both_figures() -> None:
    figures = {"records": 9, "stored": 5, "dead_letters": 2, "duplicates": 2, "counted_events": 4, "letters": 2}
    figures |= {"range_records": 9, "range_stored": 5, "range_duplicates": 2}
    assert disagreements(figures) == ["the ledger says 5 stored, 4 events are counted by minute"]


def test_of_a_long_range_three_days_are_looked_at() -> None:
    low = datetime(2026, 1, 1, tzinfo=UTC)
    assert some_days((low, low + timedelta(hours=5))) == [CheckedHours(low, low + timedelta(hours=5))]
    assert len(some_days((low, low + timedelta(days=90)))) == 3


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.mark.services
def test_in_dagster_each_check_has_its_verdict_and_its_figures(filled: World, instance: dg.DagsterInstance) -> None:
    filled.refresh()
    filled.query("update analytics.events_hourly set events = events + 1")
    job = build_defs(filled.settings, filled.worker, filled.aggregates).resolve_job_def("check_exactness")
    result = job.execute_in_process(instance=instance)
    assert result.success
    verdicts = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert set(verdicts) == set(CHECKS)
    assert verdicts["hourly_counts_equal_raw"] is False
    assert verdicts["minute_counts_equal_raw"] is True
