"""Erases users: first nothing of theirs is stored any more, then what is stored goes, and all that came of it.

What belongs here: the order of the steps, and trying again. What does not: how far it reaches (`erasure_offsets`),
repairing the aggregates (`assets.aggregates`), printing (`orchestration.cli.erase`).

Two transactions, so that the ingest never stands still for longer than a moment. If the process dies between them
the user's records are kept out already; erasing again does the rest. Of a list of users all are kept out in one, then
they are removed some at a time (`groups`): a transaction that deletes holds the lock of the aggregates' writer.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from assets import audit
from assets.aggregates.writer import NEVER, AggregateWriter
from assets.audit import AuditedCall
from assets.erasure import dead_letters, erasure_offsets, groups, previews
from assets.erasure.sql import statement
from assets.ingest import corrections
from assets.ingest.ledger import Author
from assets.ingest.partitions import detached, on_table
from resources.kafka import Kafka
from resources.postgres import INGEST_APPLICATION, Connection, Postgres, commit, is_transient

APPLICATION = "millrace-erase"
_TRIES_BESIDE_INGEST = 4
_TRIES = 8

Progress = Callable[[str], None]


class EraseFailed(Exception):
    """New events of the user, or their neighbours, kept coming in between. Nothing was deleted; erase again."""


class UserFootprint(NamedTuple):
    """What is stored of a user: events, sessions, and dead letters that name them."""

    events: int
    sessions: int
    letters: int


class Erased(NamedTuple):
    """What an erasure removed; `user` is the hash that stands for the id, the time that of the whole transaction."""

    user: str
    events: int
    sessions: int
    letters: int
    seconds: float


@dataclass(frozen=True)
class Eraser:
    """Erases users of one database.

    `actor` and `run_id` stand in the audit and the ledger; `reached` is for tests.
    """

    postgres: Postgres
    kafka: Kafka
    topics: tuple[str, ...]
    aggregates: AggregateWriter
    actor: str
    run_id: str
    failpoint: Callable[[str], None] = lambda _: None

    def look(self, user_id: str) -> UserFootprint:
        """What is stored of the user now. Changes nothing."""
        with self.postgres.connect(APPLICATION) as connection:
            connection.execute("begin isolation level repeatable read read only")
            events, sessions = _count(connection, user_id)
            return UserFootprint(events, sessions, len(dead_letters.naming(connection, [user_id]).get(user_id, [])))

    def erase(self, user_id: str, *, offline: bool = False, progress: Progress = lambda _: None) -> Erased:
        """Erase what was sent of the user up to now, and keep it away.

        Args:
            user_id: the user.
            offline: do not ask Kafka: what is not ingested yet is not erased, it will be stored.
            progress: called with what is being done.

        Raises:
            KafkaUnavailable: the ends of the logs are not known; nothing was done.
            RulesLocked: the ingest kept it out; nothing was done.
            EraseFailed: nothing was deleted; what comes in is kept out already.
        """
        [hashed] = self.ask([user_id], offline=offline, progress=progress)
        [[(_, erased)]] = self.remove({user_id: hashed}, progress=progress)
        if erased is None:
            raise EraseFailed
        return erased

    def ask(
        self, users: Sequence[str], *, offline: bool = False, progress: Progress = lambda _: None
    ) -> Sequence[bytes]:
        """Keep away what was sent of users up to now: Kafka is asked once and the ingest paused once for all of them.

        What earlier releases showed in Dagster's user interface goes at once, whoever it was of.

        Returns:
            The hash that stands for each.
        """
        with self.postgres.connect(APPLICATION) as connection:
            progress("asking Kafka how far to erase" if not offline else "reading how far was ingested")
            topics = {*self.topics, *erasure_offsets.topics_ever(connection)}
            logs = {} if offline else erasure_offsets.ends(self.kafka, topics)
            hashes = erasure_offsets.ask(self.postgres, connection, users, logs)
            previews.remove(connection)
        self.failpoint("erase_asked")
        return hashes

    def remove(
        self, users: Mapping[str, bytes], *, progress: Progress = lambda _: None
    ) -> Iterator[list[tuple[str, Erased | None]]]:
        """Delete what is stored of users who were asked for, some in each transaction.

        Dead letters are read once for all: what was asked for before keeps new ones of them out.

        Args:
            users: each id, with its hash from `ask`.
            progress: called with what is being done.

        Yields:
            The users of one transaction, each with what was removed; None where new events kept it from being done.
        """
        with self.postgres.connect(APPLICATION) as connection, connection.transaction():
            naming = dead_letters.naming(connection, users)
            events = dict(connection.execute(statement("count_events"), {"users": list(users)}).fetchall())
        for number, group in enumerate(groups.grouped(list(users), events)):
            hashes = {user: users[user] for user in group}
            began, gone = time.monotonic(), self._insist(hashes, naming, progress, refresh=number == 0)
            took = time.monotonic() - began
            yield [(u, Erased(h.hex(), *gone[u], took) if gone is not None else None) for u, h in hashes.items()]

    def _insist(
        self, users: Mapping[str, bytes], naming: dead_letters.Naming, progress: Progress, *, refresh: bool
    ) -> dict[str, UserFootprint] | None:
        """Try until nothing comes in between; None if it always did."""
        for tries in range(_TRIES):
            try:
                with self._standstill() if tries >= _TRIES_BESIDE_INGEST else _beside():
                    gone = self._try(users, naming, progress, refresh=refresh or tries > 0)
            except corrections.RulesLocked:
                return None
            if gone is not None:
                return gone
            time.sleep(0.1 * 2**tries if tries < _TRIES_BESIDE_INGEST else 0)
        return None

    @contextmanager
    def _standstill(self) -> Generator[None]:
        """Nobody stores meanwhile. The session is one that a blocked ingest may end, should this process freeze."""
        with self.postgres.connect(INGEST_APPLICATION) as connection:
            connection.execute("set idle_in_transaction_session_timeout = '60s'")
            with corrections.changing_rules(self.postgres, connection):
                yield

    def _try(
        self, users: Mapping[str, bytes], naming: dead_letters.Naming, progress: Progress, *, refresh: bool
    ) -> dict[str, UserFootprint] | None:
        """None if something came in between."""
        if refresh:
            progress("bringing the aggregates up to date")
            self.aggregates.refresh()
        progress("deleting")
        try:
            with self.aggregates.alone() as connection:
                connection.execute("begin isolation level repeatable read")
                corrections.begin(connection)
                [[unsettled]] = connection.execute(statement("unsettled"), {"users": list(users)}).fetchall()
                if unsettled:
                    return None
                gone = self._delete_stored(connection, users, naming)
                self.failpoint("erase_before_commit")
                commit(connection)
                return gone
        except psycopg.Error as error:
            if not is_transient(error):
                raise
            return None

    def _delete_stored(
        self, connection: Connection, users: Mapping[str, bytes], naming: dead_letters.Naming
    ) -> dict[str, UserFootprint]:
        """Everything of the users, in the order of locks: events, dead letters, aggregates, minutes, totals."""
        who = {"user_ids": list(users), "keys": list(users.values())}
        before = _sessions(connection, users)
        for table in ("raw.events", *detached(connection)):
            connection.execute(on_table(statement("delete_events"), table), who)
        removed = {user: _delete_dead_letters(connection, naming.get(user, []), users[user]) for user in users}
        self.aggregates.forget(connection, list(users))
        self._subtract_minutes(connection)
        difference = corrections.write_difference(connection, Author(self.run_id, 0, "erase"), "erased")
        events, types = _gone(connection)
        after = _sessions(connection, users)
        gone = {u: UserFootprint(events[u], max(0, before.get(u, 0) - after.get(u, 0)), removed[u]) for u in users}
        for user, hashed in users.items():
            call = AuditedCall(self.run_id, self.actor, "erase", hashed.hex())
            audit.record(
                connection, call, {**gone[user]._asdict(), "booked": difference._asdict(), "users": len(users)}
            )
        corrections.count(connection, "erased", types, difference.dead_letters)
        return gone

    def _subtract_minutes(self, connection: Connection) -> None:
        since = {"frontier": self.aggregates.frontier(connection) or NEVER}
        connection.execute(statement("lock_minutes"), since)
        connection.execute(statement("subtract_minutes"), since)


@contextmanager
def _beside() -> Generator[None]:
    """The ingest goes on."""
    yield


def _count(connection: Connection, user_id: str) -> tuple[int, int]:
    [(events, sessions)] = connection.execute(statement("count_user"), {"user_id": user_id}).fetchall()
    return events, sessions


def _sessions(connection: Connection, users: Mapping[str, bytes]) -> dict[str, int]:
    return dict(connection.execute(statement("count_sessions"), {"users": list(users)}).fetchall())


def _delete_dead_letters(connection: Connection, found: Sequence[int], hashed: bytes) -> int:
    if not found:
        return 0
    named = {"dead_letters": found, "hashed": hashed}
    [[removed]] = connection.execute(statement("delete_dead_letters"), named).fetchall()
    return removed


def _gone(connection: Connection) -> tuple[Counter[str], Counter[str]]:
    """How many events are gone, by user and by type."""
    users, types = Counter[str](), Counter[str]()
    for user, kind, events in connection.execute(statement("types_gone")):
        users[user] += events
        types[kind] += events
    return users, types
