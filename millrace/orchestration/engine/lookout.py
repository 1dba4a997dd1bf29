"""Where runs are that Dagster believes are under way: in the broker, in a worker, or nowhere.

What belongs here: asking the broker and the workers, and the one order that workers take. What does not: what is done
about a run that is nowhere (`launcher`, `monitor`). An answer is a picture of one moment; whoever acts on an absence
looks twice.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from celery import Celery
from celery.worker import state as worker_state
from celery.worker.control import control_command, inspect_command

from millrace.orchestration.engine import broker

_RUNS = "millrace_runs"
_INTERRUPT = "millrace_interrupt"
_ANSWER_SECONDS = 1.0
_FRESH_SECONDS = 2.0


@inspect_command(name=_RUNS)  # pyright: ignore[reportUntypedFunctionDecorator]
def _runs_here(state: Any, **_: object) -> dict[str, list[str]]:
    """Answered by each worker: the queues that it serves and the runs that it holds."""
    queues = [str(queue.name) for queue in state.consumer.task_consumer.queues]
    return {"queues": queues, "runs": [str(request.id) for request in tuple(worker_state.reserved_requests)]}


@control_command(name=_INTERRUPT)  # pyright: ignore[reportUntypedFunctionDecorator]
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


@dataclass(frozen=True, slots=True)
class Picture:
    """What the workers of one moment said."""

    taken_at: float
    served: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()


def picture(answers: Iterable[Mapping[str, Any]], taken_at: float) -> Picture:
    """Put the workers' answers together."""
    answers = [answer for answer in answers if "runs" in answer]
    return Picture(
        taken_at,
        served=frozenset(queue for answer in answers for queue in answer["queues"]),
        held=frozenset(run for answer in answers for run in answer["runs"]),
    )


@dataclass(slots=True)
class Lookout:
    """Asks on behalf of one process; the workers at most every two seconds, however many runs are asked about."""

    celery: Celery
    _last: Picture | None = None
    _missing: dict[str, float] = field(default_factory=dict[str, float])

    def waiting(self, queue: str) -> frozenset[str]:
        """The runs in a queue that no worker has taken.

        Raises:
            broker.ERRORS: the broker cannot be asked.
        """
        with self.celery.connection_for_read() as connection:
            channel: Any = connection.default_channel
            messages = [json.loads(message) for message in channel.client.lrange(queue, 0, -1)]
        return frozenset(str(message["headers"]["id"]) for message in messages)

    def workers(self, not_older_than: float = _FRESH_SECONDS) -> Picture:
        """What the workers hold; an empty picture when the broker cannot be asked."""
        now = time.monotonic()
        if self._last is None or now - self._last.taken_at > not_older_than:
            self._last = picture(self._ask(), now)
        return self._last

    def is_lost(self, run_id: str, queue: str) -> bool:
        """Whether workers of the queue answer and none of them has the run. No answer is no evidence."""
        now = self.workers()
        return self._is_missing(run_id, now, queue in now.served and run_id not in now.held)

    def nowhere(self, run_ids: Iterable[str], queue: str) -> frozenset[str]:
        """Which of these runs are neither in the queue nor in a worker; none when the broker cannot be asked."""
        try:
            waiting = self.waiting(queue)
        except broker.ERRORS:
            return frozenset()
        # In this order: between the two looks a run can only go from the queue to a worker.
        now = self.workers(not_older_than=0.0)
        absent = {run: run not in waiting and run not in now.held for run in run_ids}
        return frozenset(run for run, gone in absent.items() if self._is_missing(run, now, gone))

    def interrupt(self, run_id: str) -> None:
        """Have the worker that has a run interrupt it, or leave it alone when it takes it later."""
        self.celery.control.revoke(run_id)
        self.celery.control.broadcast(_INTERRUPT, arguments={"run_id": run_id})

    def forget_all_but(self, under_way: Iterable[str]) -> None:
        """Keep only what is known of runs that are still under way."""
        keep = set(under_way)
        self._missing = {run: since for run, since in self._missing.items() if run in keep}

    def _is_missing(self, run_id: str, now: Picture, absent: bool) -> bool:
        """Whether a run is absent in this picture as in the one before: it may have moved while one was taken."""
        if not absent:
            self._missing.pop(run_id, None)
            return False
        return self._missing.setdefault(run_id, now.taken_at) < now.taken_at

    def _ask(self) -> list[Mapping[str, Any]]:
        try:
            # A connection of its own: the address for answers is declared once for each, and a flush forgets it.
            with self.celery.connection_for_write() as connection:
                answers = self.celery.control.broadcast(
                    _RUNS, reply=True, timeout=_ANSWER_SECONDS, connection=connection
                )
        except broker.ERRORS:
            return []
        return [answer for node in cast("list[dict[str, Any]]", answers or []) for answer in node.values()]
