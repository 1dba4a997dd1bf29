"""PostgreSQL: plain psycopg connections, each with its time-outs, and which errors are worth another try.

What belongs here: how to connect, how to keep a connection, how to know that COMMIT committed, what an SQLSTATE means
for a retry. What does not: SQL about events (it stands beside the code that runs it), and trying a transaction again.
"""

import os
import re
import select
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg
from psycopg.rows import TupleRow

from contract.shown import said
from resources import session

T = TypeVar("T")
Connection = psycopg.Connection[TupleRow]

INGEST_APPLICATION = "millrace-ingest"

# Worth another try with the same data: connection trouble (08), no resources for now (53), the operator's hand (57),
# serialization and deadlock (40), lock time-outs (55P03). https://www.postgresql.org/docs/18/errcodes-appendix.html
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
_TRANSIENT_STATES = ("25006", "25P02", "25P03", "25P04", "55P03")
# The session is over, or this server is not the one any more that takes writes: the next try needs another session.
GONE = ("08", "57P01", "57P02", "57P03", "57P04", "57P05", "25006", "25P03", "25P04")

# Waiting does not help here: a certificate, TLS that one side lacks, a user and a password.
_REFUSED = re.compile(
    r"failed: ((?:SSL error|server certificate|root certificate|server does not support SSL|FATAL:"
    r"|session is read-only)[^\n]*)"
)
# But for these, which a server says that will soon be there, or has too many sessions for now.
_PASSES = re.compile(r"the database system is|too many clients|remaining connection slots|session is read-only")

# These speak of the server, of names and of rights, never of values; 23502 is a null where none may be.
_SPEAK_OF_NAMES = ("08", "23502", "28", "3D", "40", "42", "53", "55", "57")
_OLDER = "; if the schema is older than this code, run `millrace migrate`"
_LACKING = {"42P01": _OLDER, "42703": _OLDER, "42883": _OLDER, "3F000": _OLDER}


class CommitLost(Exception):
    """The server answered COMMIT with ROLLBACK: the transaction had been aborted."""


@dataclass(frozen=True)
class Postgres:
    """Where the database is, and clients for it. Never shown: the URL may carry a password."""

    url: str

    def __repr__(self) -> str:
        """Without the URL."""
        return "Postgres(...)"

    def connect(
        self, application: str, *, statement_timeout_seconds: float = 0, connect_timeout_seconds: int = 5
    ) -> Connection:
        """A new connection in autocommit mode; transactions are begun and ended by `begin` and `commit`.

        Its settings are those of `session`, whatever the role, the database, the URL or the environment say.

        Args:
            application: shown in pg_stat_activity.
            statement_timeout_seconds: 0 for none.
            connect_timeout_seconds: for each host that the URL names.

        Raises:
            psycopg.OperationalError: no server that takes writes can be reached in time.
            psycopg.Error: the server refuses a setting that only a superuser may set.
        """
        opened = psycopg.connect(
            self.url,
            autocommit=True,
            application_name=application,
            connect_timeout=connect_timeout_seconds,
            # A peer that vanished without a word is noticed after some 20 s instead of two hours.
            keepalives=1,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=2,
            tcp_user_timeout=20_000,
            **session.connecting(self.url),
        )
        milliseconds = int(statement_timeout_seconds * 1000)
        try:
            opened.execute(session.pins(statement_timeout=f"{milliseconds}ms").encode())
        except BaseException:
            opened.close()
            raise
        return opened


def commit(connection: Connection) -> None:
    """COMMIT, and make sure that it did: on an aborted transaction the server answers ROLLBACK without an error.

    Raises:
        CommitLost: nothing was committed.
        psycopg.OperationalError: the connection died; whether it committed is unknown.
    """
    status = connection.execute("commit").statusmessage
    if status != "COMMIT":
        raise CommitLost(f"the server answered COMMIT with {status}")


def rollback(connection: Connection) -> None:
    """ROLLBACK; a connection that is beyond that is closed."""
    try:
        if not connection.closed:
            connection.execute("rollback")
    except psycopg.Error:
        connection.close()


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed when it is tried again, perhaps on a new connection."""
    if isinstance(error, CommitLost):
        return True
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate
    if state is None:  # no answer from the server: the connection failed or broke
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES


def is_gone(error: BaseException) -> bool:
    """Whether an error says that the session is over, or that its server takes no writes (any more)."""
    if not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(GONE)


def is_alive(connection: Connection) -> bool:
    """Whether a connection between two uses still has its session; costs a round trip only where something came.

    A server says good-bye, and the socket of a session that waits for its client holds nothing else.
    """
    if connection.closed:
        return False
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if not waiting.poll(0):
        return True
    try:
        connection.execute("select 1")
    except psycopg.Error:
        connection.close()
        return False
    return True


def describe(error: BaseException) -> str:
    """An error in one line without the rows that PostgreSQL quotes in messages, details and context (personal data)."""
    if not isinstance(error, psycopg.Error):
        return type(error).__name__
    if error.sqlstate is None:
        return f"{type(error).__name__}: {_refusal(error)}"
    speaks = error.sqlstate.startswith(_SPEAK_OF_NAMES)
    return f"{type(error).__name__} {error.sqlstate}" + (
        f": {said(error.diag.message_primary or '')}{_LACKING.get(error.sqlstate, '')}" if speaks else ""
    )


def _refusal(error: psycopg.Error) -> str:
    """Why there was no session; libpq says so in words alone, one line an address, and never quotes a password."""
    if not (found := _REFUSED.search(str(error))):
        return "no answer from PostgreSQL"
    return f"PostgreSQL is not {'ready' if _PASSES.search(found[1]) else 'used'}: {said(found[1])}"


def is_refusal(error: psycopg.Error) -> bool:
    """Whether there was no session, and none will be, however long one waits: a password, a certificate."""
    found = _REFUSED.search(str(error)) if error.sqlstate is None else None
    return found is not None and _PASSES.search(found[1]) is None


@dataclass
class WarmConnection:
    """One connection in autocommit mode, kept from use to use. Opened at its first use; a forked child opens its own.

    Servers end sessions that are idle, so do poolers and firewalls; a restart and a failover end all of them. That is
    no failure of the work that comes next: the connection is made anew, and what only reads is asked once more.
    """

    postgres: Postgres
    application: str
    statement_timeout_seconds: float = 0
    prepare: Callable[[Connection], object] = lambda _: None
    """Done with each new connection."""
    _kept: tuple[int, Connection] | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection of this process, alive or not."""
        return self._kept is not None and self._kept[0] == os.getpid() and not self._kept[1].closed

    def connection(self) -> Connection:
        """A connection that had its session a moment ago. Ask between two transactions, not within one.

        Raises:
            psycopg.Error: PostgreSQL cannot be reached.
        """
        if self._kept is not None and self._kept[0] == os.getpid() and is_alive(self._kept[1]):
            return self._kept[1]
        self._kept = None
        made = self.postgres.connect(self.application, statement_timeout_seconds=self.statement_timeout_seconds)
        self.prepare(made)
        self._kept = (os.getpid(), made)
        return made

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Ask something that changes nothing; once more on a new connection if a kept one turns out to be dead.

        Raises:
            psycopg.Error: PostgreSQL cannot be reached, or refuses what is asked.
        """
        kept = self.is_open
        try:
            return ask(self.connection())
        except psycopg.Error as error:
            self.failed(error)
            if not kept or not is_gone(error):
                raise
        return ask(self.connection())

    def failed(self, error: BaseException | None = None) -> None:
        """After a failure: roll back, or drop what is broken or speaks with a server that takes no writes."""
        if self._kept is None:
            return
        if error is not None and is_gone(error):
            self.close()
        else:
            rollback(self._kept[1])

    def cancel(self) -> None:
        """Cancel the statement that another thread of this process waits for, if any."""
        if self.is_open and self._kept is not None:
            self._kept[1].cancel()

    def close(self) -> None:
        """Drop the connection; the next use makes a new one."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == os.getpid():
            kept[1].close()


class DatabaseFailed(Exception):
    """PostgreSQL failed; the text is that of `describe`."""


@contextmanager
def no_rows_in_errors() -> Generator[None]:
    """Turn a database error into one whose text quotes no row: Dagster keeps and shows what an op raises.

    Raises:
        DatabaseFailed: instead of the psycopg.Error.
    """
    try:
        yield
    except psycopg.Error as error:
        raise DatabaseFailed(describe(error)) from None
