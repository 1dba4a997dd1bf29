"""The planner, as a pure function: what it hands out, and that it can never lose or repeat an offset."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from assets.ingest.plan import BatchPlan, OffsetRange, PlanLimits, TopicIdPartition, lane_of, plan, without
from resources.kafka import Available, id_of_log

TOPIC = UUID(int=7)


def available(partition: int, low: int, high: int, topic: str = "t", topic_id: UUID = TOPIC) -> Available:
    return Available(topic, topic_id, partition, low, high)


def ranges(plans: list[BatchPlan]) -> dict[int, tuple[int, int]]:
    return {r.topic_partition.partition: (r.start, r.end) for p in plans for r in p.ranges if r.size}


def test_a_partition_that_was_never_seen_starts_at_the_first_offset_that_kafka_still_has() -> None:
    assert ranges(plan({}, [available(0, 40, 50)], set(), PlanLimits(1, 100))) == {0: (40, 50)}


def test_a_committed_partition_goes_on_exactly_where_it_ended_even_if_kafka_expired_that_offset() -> None:
    assert ranges(plan({TopicIdPartition(TOPIC, 0): 10}, [available(0, 40, 50)], set(), PlanLimits(1, 100))) == {
        0: (10, 50)
    }


def test_nothing_to_read_makes_no_plan() -> None:
    assert plan({TopicIdPartition(TOPIC, 0): 50}, [available(0, 0, 50)], set(), PlanLimits(1, 100)) == []


def test_a_lane_at_work_is_left_alone_and_the_others_are_not() -> None:
    found = plan({}, [available(p, 0, 10) for p in range(4)], {lane_of("t", 0, 2)}, PlanLimits(2, 100))
    assert {r.topic_partition.partition for p in found for r in p.ranges} == {1, 3}


def test_idle_partitions_of_a_busy_lane_are_listed_so_that_a_lingering_run_listens_to_them() -> None:
    [one] = plan({TopicIdPartition(TOPIC, 1): 5}, [available(0, 0, 3), available(1, 0, 5)], set(), PlanLimits(1, 100))
    assert [(r.topic_partition.partition, r.start, r.end) for r in one.ranges] == [(0, 0, 3), (1, 5, 5)]


def test_a_small_partition_does_not_take_room_from_a_large_one() -> None:
    found = plan({}, [available(0, 0, 10), available(1, 0, 1_000)], set(), PlanLimits(1, 100))
    assert ranges(found) == {0: (0, 10), 1: (0, 90)}


def test_with_room_for_one_offset_and_many_partitions_one_comes_first() -> None:
    found = plan({}, [available(p, 0, 10) for p in range(5)], set(), PlanLimits(1, 1))
    assert sum(p.size for p in found) == 1


def test_a_log_that_ends_before_what_is_committed_is_handed_to_the_run() -> None:
    [one] = plan({TopicIdPartition(TOPIC, 0): 50}, [available(0, 0, 20)], set(), PlanLimits(1, 100))
    assert one.ranges == (OffsetRange("t", TopicIdPartition(TOPIC, 0), 50, 20),)


def test_a_recreated_topic_is_another_place() -> None:
    old = {TopicIdPartition(UUID(int=1), 0): 50}
    assert ranges(plan(old, [available(0, 0, 20)], set(), PlanLimits(1, 100))) == {0: (0, 20)}


def test_partitions_added_later_leave_the_others_in_their_lanes() -> None:
    few = plan({}, [available(p, 0, 1) for p in range(3)], set(), PlanLimits(3, 10))
    many = plan({}, [available(p, 0, 1) for p in range(9)], set(), PlanLimits(3, 10))
    lane = {r.topic_partition: p.lane for p in many for r in p.ranges}
    assert all(lane[r.topic_partition] == p.lane for p in few for r in p.ranges)


offsets = st.integers(min_value=0, max_value=2**40)
logs = st.lists(st.tuples(offsets, st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=12)


@given(logs, st.integers(1, 5), st.integers(1, 10**6), st.sets(st.integers(0, 4)))
def test_every_plan_is_bounded_disjoint_and_starts_where_the_last_one_ended(
    log: list[tuple[int, int, int]], lanes: int, most: int, busy: set[int]
) -> None:
    committed = {TopicIdPartition(TOPIC, p): low + done for p, (low, done, _) in enumerate(log)}
    held = [available(p, low, low + done + left) for p, (low, done, left) in enumerate(log)]
    plans = plan(committed, held, busy, PlanLimits(lanes, most))
    assert all(p.lane not in busy and 0 < p.size <= most for p in plans)
    places = [r.topic_partition for p in plans for r in p.ranges]
    assert len(places) == len(set(places))
    highs = {TopicIdPartition(a.topic_id, a.partition): a.high for a in held}
    assert all(
        r.start == committed[r.topic_partition] and r.start <= r.end <= highs[r.topic_partition]
        for p in plans
        for r in p.ranges
    )


class TicksAndRuns(RuleBasedStateMachine):
    """Ticks, runs that commit some or all of their plan, crashes and forgotten runs, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.high = [0, 0, 0]
        self.next = [0, 0, 0]
        self.read: list[list[int]] = [[], [], []]
        self.plans: list[tuple[int, tuple[OffsetRange, ...]]] = []

    @rule(partition=st.integers(0, 2), count=st.integers(1, 50))
    def events_arrive(self, partition: int, count: int) -> None:
        self.high[partition] += count

    @rule(forget=st.booleans())
    def tick(self, forget: bool) -> None:
        """The sensor may believe a lane idle that is not: then two runs hold plans for one range."""
        busy = set() if forget else {lane for lane, _ in self.plans}
        committed = {TopicIdPartition(TOPIC, p): n for p, n in enumerate(self.next)}
        held = [available(p, 0, high) for p, high in enumerate(self.high)]
        self.plans += [(p.lane, p.ranges) for p in plan(committed, held, busy, PlanLimits(2, 40))]

    @rule(data=st.data())
    def a_run_commits_some_chunks_and_ends_or_dies(self, data: st.DataObject) -> None:
        if not self.plans:
            return
        _, todo = self.plans.pop(data.draw(st.integers(0, len(self.plans) - 1)))
        chunks = data.draw(st.integers(1, 4))
        at = [r.start for r in todo]
        for _ in range(chunks):
            step = [min(r.end, a + 15) for r, a in zip(todo, at, strict=True)]
            moving = [(r, a, b) for r, a, b in zip(todo, at, step, strict=True) if a != b]
            if any(self.next[r.topic_partition.partition] != a for r, a, _ in moving):
                return  # the fence: nothing of this chunk is committed
            for r, a, b in moving:
                self.read[r.topic_partition.partition] += range(a, b)
                self.next[r.topic_partition.partition] = b
            at = step

    @invariant()
    def every_offset_is_committed_once_and_in_order(self) -> None:
        assert all(read == list(range(n)) for read, n in zip(self.read, self.next, strict=True))

    def teardown(self) -> None:
        """Left alone, the rest is finished by ticks and runs."""
        self.plans.clear()
        for _ in range(200):
            if self.next == self.high:
                return
            self.tick(forget=False)
            for _, todo in self.plans:
                for r in todo:
                    self.read[r.topic_partition.partition] += range(r.start, r.end)
                    self.next[r.topic_partition.partition] = r.end
            self.plans.clear()
        raise AssertionError("the backlog never ends")


test_ticks_runs_crashes_and_replays_in_any_order = TicksAndRuns.TestCase


def test_a_partition_that_is_left_aside_is_not_listened_to_by_its_present_log() -> None:
    log = id_of_log(TOPIC, 1)
    committed = {TopicIdPartition(TOPIC, 0): 5, TopicIdPartition(log, 0): 5, TopicIdPartition(TOPIC, 1): 2}
    left = without([available(0, 0, 9), available(1, 0, 5)], {TopicIdPartition(log, 0)}, committed)
    [one] = plan(committed, left, set(), PlanLimits(1, 100))
    assert [(r.topic_partition.partition, r.start, r.end) for r in one.ranges] == [(1, 2, 5)]
