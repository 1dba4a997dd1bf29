"""Where runs are that Dagster believes are under way: in the broker, in a worker, or nowhere.

What belongs here: asking the broker and the workers, and the one order that workers take. What does not: what an
absence proves (`run_evidence`), and what is done about a run that is nowhere (`launcher`, `monitor`).
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from celery import Celery
from celery.worker import state as worker_state
from celery.worker.control import control_command, inspect_command

from orchestration.dagster_runtime import broker
from orchestration.dagster_runtime.run_evidence import Sighting, WorkerAnswer, Workers, WorkerSnapshot

RUNS = "millrace_runs"
INTERRUPT = "millrace_interrupt"
# Workers of a loaded machine are given longer, after a look in which one was not heard.
_ANSWER_SECONDS, _PATIENT_SECONDS = 1.0, 4.0
_FRESH_SECONDS = 2.0


@inspect_command(name=RUNS)  # pyright: ignore[reportUntypedFunctionDecorator]
def _runs_here(state: Any, **_: object) -> dict[str, list[str]]:
    """Answered by each worker: the queues that it serves and the runs that it holds."""
    queues = [str(queue.name) for queue in state.consumer.task_consumer.queues]
    # Both: what is reserved is forgotten when the broker is lost, and what is executed goes on.
    requests = (*tuple(worker_state.reserved_requests), *tuple(worker_state.active_requests))
    runs = {str(request.id) for request in requests}
    return {"queues": queues, "runs": sorted(runs)}


@control_command(name=INTERRUPT)  # pyright: ignore[reportUntypedFunctionDecorator]
def _interrupt_here(state: Any, run_id: str, **_: object) -> dict[str, bool]:  # noqa: ARG001 - Celery passes it
    """Taken by each worker: interrupt a run, which Dagster then ends.

    Not Celery's own `revoke(terminate=True)`: that marks the child for good, and when it dies in a later run, killed by
    somebody else, Celery takes it for the end that was asked for.
    """
    pids = [request.worker_pid for request in tuple(worker_state.active_requests) if request.id == run_id]
    for pid in filter(None, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    return {"ok": bool(pids)}


class TrackedRun(NamedTuple):
    """A run as it was read from Dagster's tables."""

    run_id: str
    status: str
    queue: str
    begun: bool


@dataclass(slots=True)
class RunTracker:
    """Asks on behalf of one process; the workers at most every two seconds, however many runs are asked about."""

    celery: Celery
    clock: Callable[[], float] = time.monotonic
    _last: WorkerSnapshot | None = None
    _workers: Workers = field(default_factory=Workers)
    _sightings: dict[str, Sighting] = field(default_factory=dict[str, Sighting])

    def waiting(self, queue: str) -> frozenset[str]:
        """The runs in a queue that no worker has taken.

        Raises:
            broker.ERRORS: the broker cannot be asked.
        """
        with self.celery.connection_for_read() as connection:
            channel: Any = connection.default_channel
            messages = [_parsed(message) for message in channel.client.lrange(queue, 0, -1)]
            # Taken by a worker that has not begun it; put back if the worker was killed.
            taken = [_parsed(entry) for entry in channel.client.hvals(channel.unacked_key)]
        messages += [entry[0] for entry in taken if isinstance(entry, list) and entry]
        return frozenset(filter(None, map(_run_of, messages)))

    def workers(self, not_older_than: float = _FRESH_SECONDS) -> WorkerSnapshot:
        """What the workers hold, if they were asked a moment ago, or now."""
        if self._last is None or self.clock() - self._last.asked_at > not_older_than:
            return self.look()
        return self._last

    def watch(self, runs: Iterable[TrackedRun], *, only: bool = False) -> None:
        """Remember runs as they were read just now: only looks from now on say something about them.

        Args:
            runs: those that are under way.
            only: whether there are no others, so that whatever else is known can be forgotten.
        """
        now, known = self.clock(), {} if only else dict(self._sightings)
        for run in runs:
            seen = self._sightings.get(run.run_id)
            new = Sighting(run.status, run.queue, now, run.begun)
            known[run.run_id] = seen if seen and seen.status == run.status else new
        self._sightings = known

    def look(self) -> WorkerSnapshot:
        """Ask everybody, and keep what it says of the runs that are watched."""
        asked_at = self.clock()
        # In this order: between the two a run can only go from the queue to a worker.
        waiting = self._waiting({seen.queue for seen in self._sightings.values() if not seen.begun})
        self._last = now = self._workers.picture(self._ask(), waiting, asked_at)
        self._sightings = {run: seen.after(now, run) for run, seen in self._sightings.items()}
        return now

    def is_lost(self, run_id: str) -> bool:
        """Whether a run that is watched is nowhere, by all that was seen since it was read in its present status."""
        seen = self._sightings.get(run_id)
        return seen is not None and seen.lost

    def watched_for(self, run_id: str) -> float:
        """For how many seconds a run has been known in its present status."""
        seen = self._sightings.get(run_id)
        return self.clock() - seen.since if seen else 0.0

    def interrupt(self, run_id: str) -> None:
        """Have the worker that has a run interrupt it, or leave it alone when it takes it later."""
        self.celery.control.revoke(run_id)
        self.celery.control.broadcast(INTERRUPT, arguments={"run_id": run_id})

    def _waiting(self, queues: Iterable[str]) -> frozenset[str] | None:
        try:
            return frozenset(run for queue in sorted(queues) for run in self.waiting(queue))
        except broker.ERRORS:
            return None

    def _ask(self) -> list[WorkerAnswer]:
        doubt = self._last is None or not self._last.served or self._last.unheard
        doubt = doubt or any(seen.absent_since is not None for seen in self._sightings.values())
        seconds = _PATIENT_SECONDS if doubt else _ANSWER_SECONDS
        try:
            # A connection of its own: the address for answers is declared once for each, and a flush forgets it.
            with self.celery.connection_for_write() as connection:
                answers = self.celery.control.broadcast(RUNS, reply=True, timeout=seconds, connection=connection)
        except broker.ERRORS:
            return []
        return answers_of(cast("list[object]", answers or []))


def answers_of(nodes: Iterable[object]) -> list[WorkerAnswer]:
    """The workers' answers, without those that are errors, or that no worker of ours gives."""
    answers = (pair for node in nodes if isinstance(node, dict) for pair in cast("dict[Any, Any]", node).items())
    return [
        WorkerAnswer(str(name), frozenset(said["queues"]), frozenset(said["runs"]))
        for name, said in answers
        if isinstance(said, dict) and all(_is_names(said.get(key)) for key in ("queues", "runs"))
    ]


def _is_names(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, str) for each in cast("list[object]", found))


def _parsed(message: bytes) -> Any:
    """A message as it lies in the broker; None for what is none. Anybody who can write there may put it in."""
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


def _run_of(message: Any) -> str:
    headers = message.get("headers") if isinstance(message, dict) else None
    found = headers.get("id") if isinstance(headers, dict) else None
    return found if isinstance(found, str) else ""
