"""Transactions that exclude other writers by advisory locks, and are tried again where they fail for a passing reason.

What belongs here: the connection, its locks, BEGIN and COMMIT. What does not: what a transaction does (`writer`,
`consumers`).

Locks are held before a transaction begins: so its snapshot (REPEATABLE READ) is never older than the COMMIT of the
last writer, and marks, events and tables in it belong together.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from assets.aggregates.sql import statement
from resources.postgres import Connection, Postgres, WarmConnection, is_transient, rollback

APPLICATION = "millrace-aggregates"
_TRIES, _TIMED_OUT_TRIES = 5, 3
# A writer that is frozen loses its lock: the server ends a session that is silent for so long. One that is killed loses
# it too, in the middle of a statement: the server looks whether the client is there, and a statement ends before a
# run's maximum (two hours; a refresh has a shorter one). A plan is made for the tables as they are in the transaction,
# and a sample of 3,000 rows of a temporary table says enough of it.
_SESSION = """
set idle_in_transaction_session_timeout = '2min';
set idle_session_timeout = '10min';
set client_connection_check_interval = '5s';
set statement_timeout = '110min';
set default_statistics_target = 10;
set plan_cache_mode = 'force_custom_plan';
set jit = off;
set work_mem = '64MB';
set temp_buffers = '64MB';
"""

Result = TypeVar("Result")


@dataclass
class ExclusiveSession:
    """A session that is opened at its first use and kept.

    Attributes:
        postgres: the database.
        alone: advisory locks that no other session holds meanwhile, in the order of `resources.locks`.
        beside: one that is held together with others before them, so that nobody holds that one alone.
    """

    postgres: Postgres
    alone: Sequence[int]
    beside: int | None = None
    _kept: WarmConnection | None = field(default=None, repr=False)
    _cancelled: bool = field(default=False, repr=False)

    @property
    def warm(self) -> WarmConnection:
        """The connection, for questions without a lock."""
        if self._kept is None:
            self._kept = WarmConnection(self.postgres, APPLICATION, prepare=prepare)
        return self._kept

    @contextmanager
    def held(self) -> Generator[Connection]:
        """The locks, on a connection in autocommit mode; begin and commit on it yourself."""
        connection = self.warm.connection()
        if self.beside is not None:
            connection.execute("select pg_advisory_lock_shared(%s)", (self.beside,))
        for lock in self.alone:
            connection.execute("select pg_advisory_lock(%s)", (lock,))
        try:
            yield connection
        finally:
            rollback(connection)
            if not connection.closed:
                connection.execute("select pg_advisory_unlock_all()")

    def transact(self, work: Callable[[Connection], Result], failed: Callable[[], None] = lambda: None) -> Result:
        """Do the work of one transaction with the locks held; again if it failed for a reason that passes.

        Raises:
            psycopg.Error: it failed for another reason, or too often.
        """
        self._cancelled = False
        for tries in range(_TRIES):
            try:
                with self.held() as connection:
                    return work(connection)
            except psycopg.Error as error:
                self.warm.failed(error)
                failed()
                timed_out = isinstance(error, psycopg.errors.QueryCanceled)
                if (
                    self._cancelled
                    or tries + 1 >= (_TIMED_OUT_TRIES if timed_out else _TRIES)
                    or not is_transient(error)
                ):
                    raise
                time.sleep(0.1 * 2**tries)
        raise AssertionError

    def cancel(self) -> None:
        """Cancel the statement that another thread waits for, if any; it is not tried again."""
        self._cancelled = True
        if self._kept is not None:
            self._kept.cancel()

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()


def begin(connection: Connection) -> None:
    """Begin a transaction that works on the temporary tables, in one snapshot; COMMIT empties them."""
    connection.execute("begin isolation level repeatable read")


def prepare(made: Connection) -> None:
    """Settings and temporary tables of a new connection: whatever touches these pays for emptying all of them."""
    made.execute(_SESSION)
    for name in ("stage", "sessions_stage", "login_audit_stage"):
        made.execute(statement(name))
