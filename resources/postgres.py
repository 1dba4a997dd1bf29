"""PostgreSQL: plain psycopg connections, each with its time-outs, and which errors are worth another try.

What belongs here: how to connect, how to know that COMMIT committed, what an SQLSTATE means for a retry.
What does not: SQL about events (it stands beside the code that runs it).
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from contract.shown import on_a_line
from resources import session

Connection = psycopg.Connection[TupleRow]

INGEST_APPLICATION = "millrace-ingest"

# Worth another try with the same data: connection trouble (08), no resources for now (53), the operator's hand (57),
# serialization and deadlock (40), lock time-outs (55P03). https://www.postgresql.org/docs/18/errcodes-appendix.html
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
_TRANSIENT_STATES = ("25006", "25P02", "25P03", "25P04", "55P03")
# The session is over, or this server is not the one any more that takes writes: the next try needs another session.
GONE = ("08", "57P01", "57P02", "57P03", "57P04", "57P05", "25006", "25P03", "25P04")

# No patience cures these: a certificate, TLS that one side lacks, a user and a password.
_REFUSED = re.compile(
    r"failed: ((?:SSL error|server certificate|root certificate|server does not support SSL|FATAL:"
    r"|session is read-only)[^\n]*)"
)
# But for these, which a server says that will soon be there, or has too many sessions for now.
_PASSES = re.compile(r"the database system is|too many clients|remaining connection slots|session is read-only")


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


def describe(error: BaseException) -> str:
    """An error in one line without the rows that PostgreSQL quotes in messages, details and context (personal data)."""
    if not isinstance(error, psycopg.Error):
        return type(error).__name__
    if error.sqlstate is None:
        return f"{type(error).__name__}: {_refusal(error)}"
    # These classes speak of the server, of names and of rights, never of values.
    speaks = error.sqlstate.startswith(("08", "28", "3D", "40", "42", "53", "55", "57"))
    return f"{type(error).__name__} {error.sqlstate}" + (
        f": {on_a_line(error.diag.message_primary or '')}" if speaks else ""
    )


def _refusal(error: psycopg.Error) -> str:
    """Why there was no session; libpq says so in words alone, one line an address, and never quotes a password."""
    if not (found := _REFUSED.search(str(error))):
        return "no answer from PostgreSQL"
    return f"PostgreSQL is not {'ready' if _PASSES.search(found[1]) else 'used'}: {found[1].strip()}"


def is_refusal(error: psycopg.Error) -> bool:
    """Whether there was no session, and none will be, however long one waits: a password, a certificate."""
    found = _REFUSED.search(str(error)) if error.sqlstate is None else None
    return found is not None and _PASSES.search(found[1]) is None


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
