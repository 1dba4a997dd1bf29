"""Groups of tables as consumers of the marks: each at a position and with a lock of its own, side by side.

What belongs here: a group's transactions, and how groups share the workers. What does not: which marks are taken
(`marks`), what a group makes of their events (`writer`), and rebuilding (`rebuild`).

A group is at each of its commits what its tables' definitions make of raw.events without the events of marks that wait
for it. Groups write different tables and read none of each other's: so a slow one, or one that fails, delays no other.
"""

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

from assets.aggregates import marks
from assets.aggregates.declare import Group
from assets.aggregates.exclusive import ExclusiveSession, begin
from assets.aggregates.marks import NewEvents
from assets.aggregates.pace import Pace, ended_after
from resources import locks
from resources.postgres import Connection, Postgres, commit

_LOOK_SECONDS = 1.0  # how often a group that has nothing to do looks for new marks, while another is at work
_CANCEL_SECONDS = 0.2

Merge = Callable[[Connection, NewEvents], None]


@dataclass(frozen=True)
class Taken:
    """What a group took in: marks, and of their events those that concern it."""

    marks: int = 0
    events: int = 0
    hours: frozenset[datetime] = field(default=frozenset(), repr=False)
    transactions: int = 0


@dataclass
class Consumer:
    """One group: its session, its pace, and what it has taken in during this refresh."""

    group: Group
    merge: Merge
    session: ExclusiveSession
    pace: Pace = field(default_factory=Pace)
    done: Taken = field(default_factory=Taken)

    def waits(self, days: Collection[date] | None, last: int | None) -> bool:
        """Whether a mark up to `last`, or any, waits for this group."""
        return self.session.warm.read(
            lambda connection: marks.waiting(connection, self.group, 1 << 62 if last is None else last, days)
        )

    def take(
        self, days: Collection[date] | None, most: int, longest: float, failpoint: Callable[[str], None]
    ) -> NewEvents | None:
        """One transaction: every other one takes the newest hours first.

        So neither the current hour nor a late one waits behind a backlog.

        Args:
            days: whose marks; None for all.
            most: events at once, if the pace allows for as many.
            longest: seconds after which it is cancelled, and tried again with less.
            failpoint: called before and after COMMIT, and after the marks that every group has taken were deleted.
        """

        def work(connection: Connection) -> NewEvents | None:
            began = time.monotonic()
            begin(connection)
            with ended_after(connection, longest):
                bounds = self.pace.bounds(most)
                newest_first = self.done.transactions % 2 == 0
                taken = marks.take(connection, self.group, days, bounds, newest_first=newest_first)
                if taken is not None:
                    merge_taken(connection, self.group, self.merge, taken)
                failpoint(f"{self.group}_before_commit")
                commit(connection)
            failpoint(f"{self.group}_after_commit")
            if taken is not None:
                marks.drop(connection, taken.marks)
                failpoint(f"{self.group}_after_drop")
            self.pace.took(time.monotonic() - began)
            return taken

        taken = self.session.transact(work, self.pace.failed)
        if taken is not None:
            done = self.done
            self.done = Taken(
                done.marks + len(taken.marks),
                done.events + taken.events,
                done.hours | taken.hours,
                done.transactions + 1,
            )
        return taken


def consumers(postgres: Postgres, merges: Mapping[Group, Merge]) -> dict[Group, Consumer]:
    """One for each group; connections are opened at their first use."""
    return {
        group: Consumer(group, merge, ExclusiveSession(postgres, locks.GROUPS[group], beside=locks.AGGREGATES))
        for group, merge in merges.items()
    }


def merge_taken(connection: Connection, group: Group, merge: Merge, taken: NewEvents) -> None:
    """Add the events of the marks that were taken, which count as taken from here on: no table is to hold the rest."""
    marks.settle(connection, group)
    merge(connection, taken)


def side_by_side(
    groups: Collection[Consumer],
    workers: int,
    step: Callable[[Consumer], NewEvents | None],
    is_behind: Callable[[Consumer], bool],
    has_more: Callable[[Consumer], bool],
) -> None:
    """Let the groups take in what they owe; those that are done follow new events until the last one is done, too.

    Args:
        groups: that take turns where there are fewer workers than groups.
        workers: transactions at once.
        step: one transaction of a group; None: nothing was left for it.
        is_behind: whether a group has still to take in what it owes.
        has_more: whether anything at all waits for it.

    Raises:
        psycopg.Error: a group failed; the others have done their part.
    """
    owing = {each.group for each in groups if is_behind(each)}
    failures: list[BaseException] = []
    with _pool(workers, groups) as pool:
        at_work = {pool.submit(step, each): each for each in groups if each.group in owing}
        while at_work:
            for future in wait(at_work, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done:
                each = at_work.pop(future)
                if error := future.exception():
                    failures.append(error)
                elif future.result() is not None and is_behind(each):
                    at_work[pool.submit(step, each)] = each
                    continue
                owing.discard(each.group)
            if owing and not failures:
                busy = {each.group for each in at_work.values()}
                idle = [each for each in groups if each.group not in busy and has_more(each)]
                at_work |= {pool.submit(step, each): each for each in idle}
    if failures:
        raise failures[0]


@contextmanager
def _pool(workers: int, groups: Collection[Consumer]) -> Generator[ThreadPoolExecutor]:
    """Threads that end soon when the caller is interrupted: what they wait for is cancelled."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="aggregates")
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        ending = threading.Thread(target=pool.shutdown)
        ending.start()
        while ending.is_alive():  # a cancellation between two statements has no effect
            for each in groups:
                each.session.cancel()
            ending.join(_CANCEL_SECONDS)
        raise
    finally:
        pool.shutdown()
