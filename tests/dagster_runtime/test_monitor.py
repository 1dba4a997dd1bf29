"""When a run that has not begun is given up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.test_utils import create_run_for_test
from dagster._serdes import serialize_value

from orchestration.dagster_runtime.launcher import WarmRunLauncher
from orchestration.dagster_runtime.monitor import QueueAwareMonitoringDaemon
from orchestration.dagster_runtime.run_creation import RunCreation
from orchestration.dagster_runtime.run_evidence import WorkerAnswer
from orchestration.dagster_runtime.run_tracker import RunTracker

NOT_STARTED, STARTING, STARTED = DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED
SUCCESS, FAILURE = DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE
INGEST = {"dagster-celery/queue": "ingest"}


class Scripted(RunTracker):
    """Looks at workers and queues that a test sets."""

    held: frozenset[str] = frozenset()
    queued: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset({"default", "ingest"})
    during: Callable[[], object] = staticmethod(lambda: None)

    def waiting(self, queue: str) -> frozenset[str]:  # noqa: ARG002
        return self.queued

    def _ask(self) -> list[WorkerAnswer]:
        answers = [WorkerAnswer("w", self.queues, self.held)]
        self.during()
        return answers


@dataclass
class Watch:
    """A daemon with a clock that a test moves."""

    instance: DagsterInstance
    now: float = 0.0
    launcher: WarmRunLauncher = field(init=False)
    run_tracker: Scripted = field(init=False)
    daemon: QueueAwareMonitoringDaemon = field(init=False)

    def __post_init__(self) -> None:
        self.launcher = WarmRunLauncher("redis://nobody")
        self.run_tracker = self.launcher.run_tracker = Scripted(self.launcher.celery, clock=lambda: self.now)
        self.launcher.register_instance(self.instance)
        self.instance._run_launcher = self.launcher  # pyright: ignore[reportPrivateUsage] - made from its own file
        self.daemon = QueueAwareMonitoringDaemon(5, RunCreation(clock=lambda: self.now))

    def iterate(self, seconds: float = 0.0) -> None:
        """Look as often as the daemon does, for so long."""
        context: Any = SimpleNamespace(instance=self.instance, create_request_context=lambda: None)
        end = self.now + seconds
        while True:
            assert list(filter(None, self.daemon.run_iteration(context))) == []
            if self.now >= end:
                return
            self.now += 5

    def run(self, status: DagsterRunStatus, **tags: str) -> DagsterRun:
        return create_run_for_test(self.instance, status=status, tags=tags)

    def becomes(self, run: DagsterRun, status: DagsterRunStatus) -> None:
        """Dagster's tables say so from now on."""
        storage: Any = self.instance.run_storage
        with storage.connect() as connection:
            body = serialize_value(run.with_status(status))
            where = RunsTable.c.run_id == run.run_id
            connection.execute(RunsTable.update().where(where).values(status=status.value, run_body=body))

    def status(self, run: DagsterRun) -> DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found
        return found.status

    def told(self, run: DagsterRun) -> str:
        return " ".join(entry.message for entry in self.instance.all_logs(run.run_id))


@pytest.fixture
def watch() -> Iterator[Watch]:
    overrides = {"run_monitoring": {"enabled": True, "start_timeout_seconds": 30}}
    with DagsterInstance.local_temp(overrides=overrides) as made:
        yield Watch(made)


def test_a_run_of_a_backfill_that_is_sent_between_two_looks_is_not_called_lost(watch: Watch) -> None:
    """It was looked for twice while it was made and sent, and had begun when the second look was over."""
    watch.iterate(60)  # looks go on already, as in a running stack
    run = watch.run(NOT_STARTED)
    watch.iterate(0)
    watch.now += 5
    watch.run_tracker.during = lambda: watch.becomes(run, STARTED)
    watch.iterate(0)
    watch.run_tracker.during, watch.run_tracker.held = (lambda: None), frozenset({run.run_id})
    watch.iterate(60)
    assert watch.status(run) == STARTED


def test_a_run_that_has_begun_and_that_no_worker_has_is_called_lost_after_two_looks(watch: Watch) -> None:
    other = watch.run(STARTED)
    watch.run_tracker.held = frozenset({other.run_id})
    watch.iterate(60)
    run = watch.run(STARTED)
    watch.iterate(0)
    assert watch.status(run) == STARTED
    watch.iterate(5)
    assert watch.status(run) == FAILURE
    assert "no worker has this run any more" in watch.told(run)
    assert watch.status(other) == STARTED


def test_a_daemon_that_has_just_started_is_not_quick_to_judge(watch: Watch) -> None:
    run = watch.run(STARTED)
    watch.iterate(25)
    assert watch.status(run) == STARTED
    watch.iterate(10)
    assert watch.status(run) == FAILURE


def test_the_launcher_alone_does_not_judge_by_one_look(watch: Watch) -> None:
    """As under Dagster's own monitoring, which asks it about one run after the other."""
    run = watch.run(STARTED)
    verdicts: list[WorkerStatus] = []
    for _ in range(9):
        verdicts.append(watch.launcher.check_run_worker_health(run).status)
        watch.now += 5
    assert verdicts == [WorkerStatus.RUNNING] * 6 + [WorkerStatus.FAILED] * 3


def test_a_run_that_waits_its_turn_waits_for_ever_and_one_whose_message_is_lost_does_not(watch: Watch) -> None:
    waits, lost = watch.run(STARTING), watch.run(STARTING)
    watch.run_tracker.queued = frozenset({waits.run_id})
    watch.iterate(40)
    assert watch.status(lost) == FAILURE
    assert "its message was lost" in watch.told(lost)
    watch.iterate(600)
    assert watch.status(waits) == STARTING


def test_an_ingest_run_that_no_worker_takes_is_given_up_after_the_start_time_out(watch: Watch) -> None:
    run = watch.run(STARTING, **INGEST)
    watch.run_tracker.queued = frozenset({run.run_id})
    watch.iterate(25)
    assert watch.status(run) == STARTING
    watch.iterate(10)
    assert watch.status(run) == FAILURE
    assert "No worker of the queue 'ingest', whose workers answer" in watch.told(run)


def test_an_ingest_run_that_a_slow_worker_has_taken_is_let_alone(watch: Watch) -> None:
    run = watch.run(STARTING, **INGEST)
    watch.run_tracker.held = frozenset({run.run_id})
    watch.iterate(120)
    assert watch.status(run) == STARTING


def test_a_run_that_ended_while_it_was_looked_for_stays_as_it_ended(watch: Watch) -> None:
    run = watch.run(STARTED)
    watch.iterate(25)
    watch.run_tracker.during = lambda: watch.becomes(run, SUCCESS)
    watch.iterate(20)
    assert watch.status(run) == SUCCESS


def test_a_run_that_is_being_made_is_let_alone_as_long_as_events_of_it_are_written(watch: Watch) -> None:
    """One for six hourly tables over two years has 100,000 events to write before it is sent."""
    run = watch.run(NOT_STARTED)
    for _ in range(4):
        watch.iterate(590)
        watch.instance.report_engine_event("one more partition", run)
    watch.iterate(590)
    assert watch.status(run) == NOT_STARTED


def test_a_run_that_nobody_goes_on_making_is_given_up_and_the_text_says_why(watch: Watch) -> None:
    run = watch.run(NOT_STARTED)
    watch.iterate(590)
    assert watch.status(run) == NOT_STARTED
    watch.iterate(20)
    assert watch.status(run) == FAILURE
    assert "created and never sent" in watch.told(run)
    assert "to start" not in watch.told(run)
