"""Two lanes, one of which has a partition that cannot be read: the sensor's own plans, executed as runs of Dagster."""

from collections.abc import Iterator

import dagster as dg
import pytest

from assets.ingest.asset import LANE_TAG
from sensors.failure_causes import cause_of
from tests.ingest.test_unreadable import three_batches
from tests.sensors.test_kafka_offsets import Ticks
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services


class Lanes:
    """Partition 0 stands still at offset 3; partition 1, of the other lane, holds four records."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        three_batches(world)
        self.world, self.ticks, self.instance = world, Ticks(world, instance), instance

    def requests(self) -> dict[int, dg.RunRequest]:
        """What a tick requests, by the only partition of the lane."""
        found, self.said = self.ticks.tick()
        ranges = {r.tags[LANE_TAG]: r.run_config["ops"]["ingest_ranges"]["config"]["ranges"] for r in found}
        assert len(ranges) == len(found), "one run a lane"
        return {ranges[r.tags[LANE_TAG]][0]["partition"]: r for r in found}

    def execute(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.ticks.job.execute_in_process(
            run_config=request.run_config, tags=dict(request.tags), instance=self.instance, raise_on_error=False
        )

    def committed(self) -> dict[int, int]:
        return dict(self.world.query("select partition, next_offset from ops.offsets"))

    def more(self, records: int) -> None:
        self.world.produce(encoded(*(event() for _ in range(records))), partition=1)


@pytest.fixture
def lanes(world: World) -> Iterator[Lanes]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Lanes(world, instance)


def test_one_lane_s_partition_cannot_be_read_and_the_other_lane_goes_on(lanes: Lanes) -> None:
    first = lanes.requests()
    assert set(first) == {0, 1}
    failed, well = lanes.execute(first[0]), lanes.execute(first[1])
    assert (failed.success, well.success) == (False, True)
    assert lanes.committed() == {0: 3, 1: 4}
    lanes.more(2)
    second = lanes.requests()
    assert set(second) == {1}, "the lane that would wait in vain takes no worker meanwhile"
    assert lanes.execute(second[1]).success
    assert lanes.committed() == {0: 3, 1: 6}


def test_the_run_and_its_cause_name_the_partition_the_offset_and_the_error(lanes: Lanes) -> None:
    run = lanes.execute(lanes.requests()[0])
    events = [e.event_log_entry.dagster_event for e in lanes.instance.get_records_for_run(run.run_id).records]
    cause = cause_of(event for event in events if event)
    assert cause.startswith("PartitionsUnreadable: ")
    assert f"{lanes.world.topic}/0 at offset 3: BAD_MSG" in cause


def test_a_run_of_the_stuck_lane_that_is_still_at_work_holds_its_lane_alone(lanes: Lanes) -> None:
    lanes.ticks.start(lanes.requests()[0])
    again = lanes.requests()
    assert set(again) == {1}
    assert lanes.execute(again[1]).success
    lanes.more(1)
    assert set(lanes.requests()) == {1}


def test_the_partition_is_tried_again_after_a_while_and_named_by_the_sensor_until_then(lanes: Lanes) -> None:
    for request in lanes.requests().values():
        lanes.execute(request)
    assert lanes.requests() == {}
    assert f"{lanes.world.topic}/0 at offset 3: BAD_MSG" in (lanes.said or "")
    lanes.world.query("update ops.unreadable_partitions set seen_at = now() - interval '21 seconds'")
    assert set(lanes.requests()) == {0}
