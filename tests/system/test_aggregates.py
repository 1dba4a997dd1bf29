"""The aggregates on a whole stack: taken in by the sensor's runs, rebuilt by backfills from the UI and by command."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.system.system import System, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

LATE = ("--late", "0.2", "--out-of-order", "0.1", "--duplicates", "0.05", "--invalid", "0.02")
HOURLY_AGAINST_RAW = """
select count(*) from
    (select date_trunc('hour', occurred_at, 'UTC') as hour, type, count(*) as events, count(distinct user_id) as users
     from raw.events group by 1, 2) as stored
    full join analytics.events_hourly as kept using (hour, type)
where (stored.events, stored.users) is distinct from (kept.events, kept.users)
"""
SUMS = """
select (select count(*) from raw.events), (select sum(events)::bigint from analytics.sessions),
    (select sum(events)::bigint from analytics.user_profiles), (select sum(events)::bigint from ops.user_days)
"""


def settle(whole: System) -> None:
    """Until everything that was sent is ingested and taken in."""
    assert whole.reconcile()[0] == 0
    eventually(lambda: whole.query("select count(*) from ops.dirty_buckets") == [(0,)], seconds=120)


def test_late_events_are_taken_in_and_every_count_is_that_of_raw(whole: System) -> None:
    whole.produce("--count", "3000", "--rate", "1500", *LATE)
    settle(whole)
    assert whole.query(HOURLY_AGAINST_RAW) == [(0,)]
    [sums] = whole.query(SUMS)
    assert len(set(sums)) == 1, sums
    queues = whole.query(
        "select distinct t.value from dagster.runs as r inner join dagster.run_tags as t on t.run_id = r.run_id"
        " where r.pipeline_name = 'refresh_aggregates' and t.key = 'dagster-celery/queue'"
    )
    assert queues == [("aggregates",)]


LAUNCH = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"


def launch(whole: System, tables: tuple[str, ...], keys: list[str]) -> str:
    selection = [{"path": table.split("/")} for table in tables]
    params = {"assetSelection": selection, "partitionNames": keys, "tags": [], "fromFailure": False}
    answer = whole.graphql(LAUNCH, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return answer["backfillId"]


def status(whole: System, backfill: str) -> str:
    return whole.graphql(STATUS, id=backfill)["partitionBackfillOrError"]["status"]


def runs(whole: System, backfill: str) -> list[tuple[Any, ...]]:
    """Status and queue of the runs of a backfill."""
    return whole.query(
        "select r.status, substring(e.event from 'queue ''(\\w+)''') from dagster.runs as r"
        " inner join dagster.run_tags as t on t.run_id = r.run_id and t.key = 'dagster/backfill' and t.value = %s"
        " inner join dagster.event_logs as e on e.run_id = r.run_id and e.event like '%%Sending the run to%%'",
        backfill,
    )


def test_a_backfill_from_the_ui_is_one_run_for_its_range_on_the_default_queue(whole: System) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = [f"{today - timedelta(hours=back):%Y-%m-%d-%H:00}" for back in range(48, 0, -1)]
    days = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(3, 0, -1)]
    damage = "update analytics.events_hourly set users = users + 1 where hour between %s and %s returning 1"
    assert whole.query(damage, today - timedelta(hours=48), today - timedelta(hours=1))
    begun = [
        launch(whole, ("analytics/events_hourly", "analytics/pages_hourly"), hours),
        launch(whole, ("analytics/sessions", "ops/user_days"), days),
    ]
    # Dagster looks at backfills every 30 s; a command's needs not wait for that.
    done = whole.command("backfill", "--days", "9", "--tables", "pages_hourly", "--json")
    assert done.returncode == 0, done.stderr
    [run] = json.loads(done.stdout)["runs"]
    assert run["status"] == "SUCCESS"
    for backfill in begun:
        eventually(lambda each=backfill: status(whole, each) == "COMPLETED_SUCCESS", seconds=150, every=1)
        assert runs(whole, backfill) == [("SUCCESS", "default")]
    settle(whole)
    assert whole.query(HOURLY_AGAINST_RAW) == [(0,)]
