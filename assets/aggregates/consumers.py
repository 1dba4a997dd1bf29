"""Groups of tables as consumers of the marks: side by side on the workers there are, or in one transaction on one.

What belongs here: transactions of groups, and how groups share the workers. What does not: which marks are taken
(`marks`), what a group makes of their events (`writer`), and rebuilding (`rebuild`).

A group is at each of its commits what its tables' definitions make of raw.events without the events of marks that wait
for it. Groups write different tables and read none of each other's: so they can be in different transactions, in one,
or in different ones after one failed. In one transaction the events are read once, and one table that is slow delays
those beside it; one that fails does not, because the groups go on apart then.
"""

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

import psycopg

from assets.aggregates import marks
from assets.aggregates.declare import Group
from assets.aggregates.exclusive import ExclusiveSession, begin
from assets.aggregates.marks import NewEvents
from assets.aggregates.pace import UNBOUNDED, Bounds, Pace, ended_after
from resources import locks
from resources.postgres import Connection, Postgres, commit

_LOOK_SECONDS = 1.0  # how often groups that have nothing to do look for new marks, while others are at work
_CANCEL_SECONDS = 0.2

Merge = Callable[[Connection, NewEvents], None]


@dataclass(frozen=True)
class Taken:
    """What a group took in: marks and their events."""

    marks: int = 0
    events: int = 0
    hours: frozenset[datetime] = field(default=frozenset(), repr=False)
    transactions: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        """Both."""
        return Taken(
            self.marks + other.marks,
            self.events + other.events,
            self.hours | other.hours,
            self.transactions + other.transactions,
        )


@dataclass(eq=False)
class Consumer:
    """Groups that take events in together: their session, their pace, and what each took in during this refresh."""

    postgres: Postgres
    merges: Mapping[Group, Merge]
    pace: Pace = field(default_factory=Pace)
    taken: dict[Group, Taken] = field(default_factory=dict[Group, Taken])
    _turn: int = 0

    @cached_property
    def session(self) -> ExclusiveSession:
        """With the locks of all its groups."""
        return ExclusiveSession(self.postgres, [locks.GROUPS[group] for group in self.merges], beside=locks.AGGREGATES)

    @cached_property
    def apart(self) -> "Sequence[Consumer]":
        """A consumer for each of its groups, for the time after a transaction of all has failed; none for one group."""
        each = self.merges.items() if len(self.merges) > 1 else ()
        return [Consumer(self.postgres, {group: merge}) for group, merge in each]

    def waits(self, days: Collection[date] | None, last: int | None) -> bool:
        """Whether a mark up to `last`, or any, waits for one of its groups."""
        return self.session.warm.read(
            lambda connection: marks.waiting(connection, tuple(self.merges), 1 << 62 if last is None else last, days)
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

        def work(connection: Connection) -> tuple[Collection[Group], NewEvents] | None:
            began, bounds = time.monotonic(), self.pace.bounds(most)
            begin(connection)
            with ended_after(connection, longest):
                done = take_in(connection, self.merges, days, bounds, newest_first=self._turn % 2 == 0)
                self._reached("before_commit", failpoint)
                commit(connection)
            self._reached("after_commit", failpoint)
            if done is not None:
                groups, taken = done
                if len(groups) < len(marks.GROUPS):  # else they were deleted at once
                    marks.drop(connection, taken.marks)
                self._reached("after_drop", failpoint)
                seconds = time.monotonic() - began
                self.pace.took(Bounds(taken.events, len(taken.marks), len(taken.hours)), seconds)
            return done

        done = self.session.transact(work, self.pace.failed)
        if done is None:
            return None
        groups, taken = done
        for group in groups:
            self.taken[group] = self.taken.get(group, Taken()) + Taken(
                len(taken.marks), taken.events, taken.hours, transactions=1
            )
        self._turn += 1
        return taken

    def all(self) -> "Sequence[Consumer]":
        """Itself and those of its groups apart, if they were ever needed."""
        return [self, *self.__dict__.get("apart", [])]

    def _reached(self, point: str, failpoint: Callable[[str], None]) -> None:
        for group in self.merges:
            failpoint(f"{group}_{point}")


def take_in(
    connection: Connection,
    merges: Mapping[Group, Merge],
    days: Collection[date] | None,
    most: Bounds,
    *,
    newest_first: bool,
) -> tuple[Collection[Group], NewEvents] | None:
    """Let groups take marks in that wait for all of them, or one of them those that the others have taken before.

    Args:
        connection: in a REPEATABLE READ transaction of their only writer.
        merges: what each group makes of the events.
        days: whose marks; None for all.
        most: events, marks and hours at once; one mark at least.
        newest_first: the newest hours first, or in the order of arrival.

    Returns:
        Which of the groups took in what; None when no mark is left.
    """
    behind = marks.behind(connection, tuple(merges), days)
    groups: Sequence[Group] = [behind] if behind else [*merges]
    before = tuple(merges) if behind else ()
    taken = marks.take(connection, groups, days, most, newest_first=newest_first, before=before)
    if taken is None:
        return None
    marks.settle(connection, groups)  # they count as taken from here on: no table is to hold the rest
    for group in groups:
        merges[group](connection, taken)
    return groups, taken


def take_all(connection: Connection, merges: Mapping[Group, Merge], days: Collection[date]) -> None:
    """Let groups take in all that waits of some days, in one transaction: see `take_in`."""
    while take_in(connection, merges, days, UNBOUNDED, newest_first=True):
        marks.clear(connection)
    marks.drop(connection)


def consumers(postgres: Postgres, merges: Mapping[Group, Merge], workers: int) -> Sequence[Consumer]:
    """One for each worker, with its share of the groups; connections are opened at their first use."""
    shares = [tuple(merges)[nth::workers] for nth in range(min(workers, len(merges)))]
    return [Consumer(postgres, {group: merges[group] for group in share}) for share in shares]


def side_by_side(
    groups: Sequence[Consumer],
    workers: int,
    step: Callable[[Consumer], NewEvents | None],
    is_behind: Callable[[Consumer], bool],
    has_more: Callable[[Consumer], bool],
) -> None:
    """Let the consumers take in what they owe; those that are done follow new events until the last one is done, too.

    Args:
        groups: the consumers. One whose transaction failed goes on as one for each of its groups, which take turns
            where there are fewer workers.
        workers: transactions at once.
        step: one transaction of a consumer; None: nothing was left for it.
        is_behind: whether a consumer has still to take in what it owes.
        has_more: whether anything at all waits for it.

    Raises:
        psycopg.Error: a group failed; the others have done their part.
    """
    groups = [*groups]
    owing = {each for each in groups if is_behind(each)}
    failures: list[BaseException] = []
    with _pool(workers, groups) as pool:
        at_work = {pool.submit(step, each): each for each in groups if each in owing}
        while at_work:
            for future in wait(at_work, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done:
                each = at_work.pop(future)
                error = future.exception()
                if error is None and future.result() is not None and is_behind(each):
                    at_work[pool.submit(step, each)] = each
                    continue
                owing.discard(each)
                if isinstance(error, psycopg.Error) and each.apart:
                    groups.remove(each)
                    groups += each.apart
                    owing |= {part for part in each.apart if is_behind(part)}
                    at_work |= {pool.submit(step, part): part for part in each.apart if part in owing}
                elif error:
                    failures.append(error)
            if owing and not failures:
                busy = {*at_work.values()}
                idle = [each for each in groups if each not in busy and has_more(each)]
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
