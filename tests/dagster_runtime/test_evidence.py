"""When a run is called lost: never while it is on its way or at work, and soon after nobody has it."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.dagster_runtime.run_evidence import QUIET, Sighting, WorkerAnswer, Workers, WorkerSnapshot
from orchestration.dagster_runtime.run_tracker import TrackedRun

QUEUE = "default"
SERVED = frozenset({QUEUE})


def sighting(status: str = "STARTED", since: float = 0.0) -> Sighting:
    return Sighting(status, QUEUE, since, begun=status == "STARTED")


def lost_after(seen: Sighting, *looks: WorkerSnapshot) -> list[bool]:
    found: list[bool] = []
    for look in looks:
        seen = seen.after(look, "run")
        found.append(seen.lost)
    return found


def absent(at: float, *, settled: bool = True, unheard: frozenset[str] = frozenset()) -> WorkerSnapshot:
    return WorkerSnapshot(at, served=SERVED, settled=settled, unheard=unheard)


def test_a_run_is_lost_when_two_looks_running_have_every_answer_and_not_the_run() -> None:
    assert lost_after(sighting(), absent(1), absent(6)) == [False, True]


def test_a_look_that_began_before_the_run_was_read_in_its_status_does_not_count() -> None:
    """The run was created, looked for, and sent meanwhile: what was not there then is no evidence now."""
    assert lost_after(sighting(since=7.0), absent(1), absent(6), absent(11)) == [False, False, False]


def test_looks_that_are_close_together_are_one() -> None:
    assert lost_after(sighting(), absent(1), absent(1), absent(1.5)) == [False, False, False]


def test_a_run_that_is_found_in_between_is_not_lost() -> None:
    found = WorkerSnapshot(6, served=SERVED, held=frozenset({"run"}))
    assert lost_after(sighting(), absent(1), found, absent(11)) == [False, False, False]


@pytest.mark.parametrize("look", [{"settled": False}, {"unheard": SERVED}])
def test_while_a_worker_may_only_be_slow_to_answer_it_takes_longer(look: dict[str, object]) -> None:
    looks = [WorkerSnapshot(at, served=SERVED, **look) for at in (0.0, 5.0, QUIET - 1, QUIET)]  # type: ignore[arg-type]
    assert lost_after(sighting(), *looks) == [False, False, False, True]


def test_no_answer_from_workers_of_the_queue_is_no_evidence_about_a_run_that_has_begun() -> None:
    looks = [WorkerSnapshot(at, served=frozenset({"ingest"})) for at in (0.0, 20.0, 40.0, 60.0)]
    assert lost_after(sighting(), *looks) == [False] * 4


def test_a_run_whose_message_is_lost_is_lost_where_nobody_serves_its_queue_too() -> None:
    looks = [WorkerSnapshot(at) for at in (0.0, 10.0, 20.0, QUIET)]
    assert lost_after(sighting("STARTING"), *looks) == [False, False, False, True]


def test_a_broker_that_cannot_be_asked_proves_nothing_about_a_run_that_waits() -> None:
    looks = [WorkerSnapshot(at, waiting=None, served=SERVED) for at in (0.0, 20.0, 40.0)]
    assert lost_after(sighting("STARTING"), *looks) == [False] * 3


def test_a_worker_that_was_heard_a_moment_ago_is_missed_and_one_that_is_long_gone_is_not() -> None:
    workers = Workers()
    a, b = WorkerAnswer("a", SERVED, frozenset()), WorkerAnswer("b", SERVED, frozenset())
    complete = [
        workers.picture(heard, frozenset(), float(at)).complete(QUEUE)
        for at, heard in ((0, [a, b]), (20, [a, b]), (40, [a, b]), (60, [a]), (80, [a]), (100, [a]), (159, [a]))
    ]
    assert complete == [False, False, True, False, False, False, False]
    assert not workers.picture([a], frozenset(), 160.0).complete(QUEUE)  # after a pause it is not known who came
    assert [workers.picture([a], frozenset(), at).complete(QUEUE) for at in (175.0, 190.0)] == [False, True]


STEPS = ["launch", "send", "take", "hold", "begin"]


@dataclass
class World:
    """A run on its way to a worker among two, and a daemon that reads, then looks; each step may come at any time."""

    now: float = 0.0
    done: int = 0
    moved: float = 0.0
    workers: Workers = field(default_factory=Workers)
    seen: Sighting | None = None
    gone: bool = False

    @property
    def read(self) -> TrackedRun:
        status = ("NOT_STARTED", "STARTING", "STARTING", "STARTING", "STARTING", "STARTED")[self.done]
        return TrackedRun("run", status, QUEUE, status == "STARTED")

    def step(self) -> None:
        """The run goes on by one step, if it can."""
        if self.done < len(STEPS):
            self.done, self.moved = self.done + 1, self.now

    def watch(self) -> None:
        run = self.read
        if self.seen is None or self.seen.status != run.status:
            self.seen = Sighting(run.status, run.queue, self.now, run.begun)

    def look(self, *, between: int, silent: frozenset[str]) -> None:
        """The queue is asked, the run may go on, then the workers are asked; some do not answer, but not for long."""
        asked_at = self.now
        here = frozenset[str]() if self.gone else frozenset({"run"})
        waiting = here if self.done == 2 else frozenset[str]()
        for _ in range(between):
            self.step()
        held = here if self.done >= 4 else frozenset[str]()
        answers = [WorkerAnswer(name, SERVED, held if name == "a" else frozenset()) for name in ("a", "b")]
        heard = [answer for answer in answers if answer.name not in silent]
        picture = self.workers.picture(heard, waiting, asked_at)
        self.seen = self.seen.after(picture, "run") if self.seen else None

    def rest(self) -> None:
        """A sender does not hang for half a minute, and a message is on its way to a worker for less than two looks."""
        if (self.done == 1 and self.now - self.moved > QUIET / 4) or (self.done == 3 and self.now > self.moved):
            self.step()

    @property
    def given_up(self) -> bool:
        """As `monitor` decides: what has not begun has the start time-out as well."""
        assert self.seen is not None
        if self.read.status == "NOT_STARTED" or self.read.status != self.seen.status:
            return False
        return self.seen.lost and (self.seen.begun or self.now - self.seen.since >= QUIET)


def slow(data: st.DataObject, since: dict[str, float], now: float) -> frozenset[str]:
    """The workers that do not answer this time, none of them for long."""
    chosen = data.draw(st.frozensets(st.sampled_from(["a", "b"])))
    for name in {"a", "b"} - chosen:
        since.pop(name, None)
    return frozenset(name for name in chosen if now - since.setdefault(name, now) < QUIET / 2)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_order_of_steps_and_looks_has_a_healthy_run_given_up(data: st.DataObject) -> None:
    world, since = World(), dict[str, float]()
    for _ in range(data.draw(st.integers(1, 40))):
        world.now += data.draw(st.floats(1.0, 8.0))
        for _ in range(data.draw(st.integers(0, 2))):
            world.step()
        world.rest()
        world.watch()
        world.look(between=data.draw(st.integers(0, 2)), silent=slow(data, since, world.now))
        assert not world.given_up


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_was_seen_before_a_run_that_nobody_has_any_more_is_given_up(data: st.DataObject) -> None:
    world = World()
    for _ in range(data.draw(st.integers(1, 20))):
        world.now += data.draw(st.floats(1.0, 8.0))
        world.step()
        world.watch()
        world.look(between=0, silent=frozenset())
    world.done, world.gone = max(world.done, 2), True
    for _ in range(2 * round(QUIET / 5) + 2):
        world.now += 5
        world.watch()
        world.look(between=0, silent=frozenset())
    assert world.given_up
