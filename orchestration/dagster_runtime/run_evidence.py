"""When a run is lost, as decided from what was seen of it. Pure.

What belongs here: one look, what is remembered of a run between looks, and the judgement. What does not: asking the
broker and the workers (`run_tracker`), and what is done about a lost run (`launcher`, `monitor`).

A healthy run must never be called lost, so an absence counts only as far as it says something:

* A look counts for a run only if it began after the run had been read in the status that it has. What an older one did
  not find may have been sent meanwhile. Order decides this, not clocks: those of two machines differ.
* One look is never enough: a message may be on its way from the queue to a worker while the look is taken.
* Workers that answer late are left out of a look. Only looks in which all workers answered that are known to serve the
  queue decide at once; others decide when none of them, for `QUIET` seconds, found the run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

# Longer than a worker takes to finish what it has when it is told to end (`lifetime`): it answers nobody meanwhile.
QUIET = 30.0
# A worker that has not answered for so long is not expected to any more.
_EXPECTED = 120.0
# Looks that are closer together show the same message on the same way.
_APART = 1.0


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """What one worker said."""

    name: str
    queues: frozenset[str]
    runs: frozenset[str]


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """What one look found.

    Attributes:
        asked_at: by the clock of who looks, before anybody was asked.
        waiting: the runs in the broker; None if it could not be asked.
        held: the runs that workers have.
        served: the queues of which a worker answered.
        unheard: the queues of which a known worker did not answer.
        settled: whether looks have gone on for long enough for all workers to be known.
    """

    asked_at: float
    waiting: frozenset[str] | None = frozenset()
    held: frozenset[str] = frozenset()
    served: frozenset[str] = frozenset()
    unheard: frozenset[str] = frozenset()
    settled: bool = True

    def complete(self, queue: str) -> bool:
        """Whether every worker of a queue had its say."""
        return self.settled and queue in self.served and queue not in self.unheard


@dataclass(slots=True)
class Workers:
    """Which workers there are, as their answers show."""

    _first: float | None = None
    _newest: float = 0.0
    _known: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict[str, tuple[frozenset[str], float]])

    def picture(
        self, answers: Iterable[WorkerAnswer], waiting: frozenset[str] | None, asked_at: float
    ) -> WorkerSnapshot:
        """Put together what was answered."""
        answers = list(answers)
        if self._first is None or asked_at - self._newest > QUIET:
            self._first = asked_at  # after a pause it is not known who came meanwhile
        self._newest = asked_at
        self._known |= {answer.name: (answer.queues, asked_at) for answer in answers}
        self._known = {name: (q, at) for name, (q, at) in self._known.items() if asked_at - at < _EXPECTED}
        silent = self._known.keys() - {answer.name for answer in answers}
        return WorkerSnapshot(
            asked_at,
            waiting,
            held=frozenset(run for answer in answers for run in answer.runs),
            served=frozenset(queue for answer in answers for queue in answer.queues),
            unheard=frozenset(queue for name in silent for queue in self._known[name][0]),
            settled=asked_at - self._first >= QUIET,
        )


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known of a run.

    Attributes:
        status: in which it was read last.
        queue: whose workers may have it.
        since: when it was first read in this status, by the clock of who looks.
        begun: whether only a worker can have it; else it may wait in the queue still.
        absent_since: the first of the looks without a break that did not find it.
        last: the newest look that counted.
        complete: how many looks, the newest without a break, had every worker's answer and not the run.
    """

    status: str
    queue: str
    since: float
    begun: bool = True
    absent_since: float | None = None
    last: float | None = None
    complete: int = 0

    def after(self, look: WorkerSnapshot, run_id: str) -> "Sighting":
        """What is known after one more look."""
        if look.asked_at < self.since or (self.last is not None and look.asked_at - self.last < _APART):
            return self
        if run_id in look.held or (look.waiting is not None and run_id in look.waiting) or self._says_nothing(look):
            return replace(self, absent_since=None, last=look.asked_at, complete=0)
        return replace(
            self,
            absent_since=look.asked_at if self.absent_since is None else self.absent_since,
            last=look.asked_at,
            complete=self.complete + 1 if look.complete(self.queue) else 0,
        )

    @property
    def lost(self) -> bool:
        """Whether nobody has the run."""
        if self.absent_since is None or self.last is None:
            return False
        return self.complete > 1 or self.last - self.absent_since >= QUIET

    def _says_nothing(self, look: WorkerSnapshot) -> bool:
        """No answer is no evidence, but for a run that waits for workers where there are none."""
        if self.begun:
            return self.queue not in look.served
        return look.waiting is None or (self.queue in look.unheard and self.queue not in look.served)
