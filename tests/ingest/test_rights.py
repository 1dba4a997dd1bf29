"""A right that is missing costs its topic alone, and is told with the topic, the partition and the error."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
from confluent_kafka.admin._acl import AclOperation

from assets.ingest.plan import OffsetRange, PlanLimits, plan
from assets.ingest.pull import PartitionsUnreadable, verify_generation
from orchestration.cli.doctor.reading import examine
from orchestration.jobs import INGEST_JOB
from sensors.kafka_offsets import KafkaOffsets
from tests.ingest.test_faults import wait_until
from tests.support.guarded import Guarded, guarded_kafka
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services

READ, DESCRIBE = AclOperation.READ, AclOperation.DESCRIBE


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded_kafka(tmp_path_factory.mktemp("guarded")) as started:
        yield started


class Two:
    """Two topics with two records each, of which the user of the runs may read `open`."""

    def __init__(self, world: World, guarded: Guarded) -> None:
        self.world, self.guarded = world, guarded
        self.open, self.closed = f"{world.topic}-open", f"{world.topic}-closed"
        self.topics = (self.closed, self.open)
        world.settings = world.settings.model_copy(update={"kafka_bootstrap_servers": guarded.plain})
        everything = world.another_worker()
        for world.topic in self.topics:
            everything.kafka.create_topic(world.topic, 1)
            world.produce(encoded(event(), event()))
        everything.close()
        self.login = {"kafka_bootstrap_servers": guarded.guarded, "kafka_options": guarded.options}
        world.worker = world.another_worker(**self.login, progress_timeout=timedelta(seconds=10))
        self.allow(self.open, READ)

    def allow(self, topic: str, *operations: AclOperation) -> None:
        """Rights are told to the broker a moment after they are given."""
        self.guarded.allow(topic, *operations)

        def is_so() -> bool:
            troubles: dict[str, str] = {}
            found = self.world.worker.kafka.topic_ids([topic], troubles)
            return (topic in found) == bool(operations)

        wait_until(is_so)

    def sensor(self) -> KafkaOffsets:
        worker = self.world.worker
        return KafkaOffsets(
            worker.kafka, worker.postgres, self.topics, PlanLimits(1, 100), timedelta(seconds=30), INGEST_JOB
        )

    def both(self) -> tuple[OffsetRange, ...]:
        """A plan of both topics, as one that was made before a right was taken."""
        [one] = plan({}, self.world.worker.kafka.available(self.topics), set(), PlanLimits(1, 100))
        return one.ranges


@pytest.fixture
def two(world: World, guarded: Guarded) -> Two:
    return Two(world, guarded)


def test_a_topic_that_may_be_described_and_not_read_costs_itself_alone(two: Two) -> None:
    two.allow(two.closed, DESCRIBE)
    with pytest.raises(PartitionsUnreadable, match=rf"^{two.closed}/0 at offset 0: TOPIC_AUTHORIZATION_FAILED[^;]*$"):
        two.world.ingest(ranges=two.both())
    assert two.world.query("select topic, next_offset from ops.offsets") == [(two.open, 2)]
    with dg.DagsterInstance.ephemeral() as instance:
        plans, _, [told] = two.sensor().evaluate(lambda: instance)
    assert plans == []
    assert str(told).startswith(f"{two.closed}/0 at offset 0: TOPIC_AUTHORIZATION_FAILED")


def test_a_topic_that_may_not_be_described_is_left_out_of_plans_and_told(two: Two) -> None:
    two.allow(two.closed)
    with dg.DagsterInstance.ephemeral() as instance:
        [one], missing, [told] = two.sensor().evaluate(lambda: instance)
    assert (missing, [r.topic for r in one.ranges]) == ([], [two.open])
    assert (told.topic, told.partition, "authorization" in told.error) == (two.closed, "all", True)
    two.world.ingest(ranges=one.ranges)
    assert two.world.totals()["stored"] == 2


def test_a_right_that_is_taken_before_the_run_is_named_at_once_and_the_next_run_stores_the_others(two: Two) -> None:
    two.allow(two.closed, READ)
    planned = two.both()
    two.allow(two.closed)
    with pytest.raises(PartitionsUnreadable, match=rf"^{two.closed}/0 at offset 0: .*uthorization"):
        verify_generation(two.world.worker.kafka, planned)
    with pytest.raises(PartitionsUnreadable, match=rf"{two.closed}/0 at offset 0: .*uthorization.*; no record"):
        two.world.ingest(ranges=planned)
    with dg.DagsterInstance.ephemeral() as instance:
        for one in two.sensor().evaluate(lambda: instance).plans:
            two.world.ingest(ranges=one.ranges)
    assert two.world.query("select topic, next_offset from ops.offsets") == [(two.open, 2)]


def test_a_right_that_is_given_back_ends_it(two: Two) -> None:
    two.allow(two.closed, DESCRIBE)
    planned = two.both()
    with pytest.raises(PartitionsUnreadable):
        two.world.ingest(ranges=planned)
    two.allow(two.closed, READ)
    two.world.ingest(ranges=tuple(r for r in planned if r.topic == two.closed))
    assert two.world.totals()["stored"] == 4


def test_without_any_right_kafka_is_up_and_every_topic_is_told(two: Two) -> None:
    two.allow(two.closed)
    two.allow(two.open)
    with dg.DagsterInstance.ephemeral() as instance:
        found = two.sensor().evaluate(lambda: instance)
    assert (found.plans, [w.topic for w in found.withheld]) == ([], [two.closed, two.open])
    login = {**two.login, "kafka_topics": two.topics}
    findings = list(examine(two.world.settings.model_copy(update=login)))
    assert [f.level for f in findings] == ["FAIL", "FAIL"]
    assert "needs DESCRIBE and READ" in findings[0].advice
