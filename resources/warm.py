"""A connection that is kept from use to use, and made anew when it did not survive the time between two.

What belongs here: how to know that a kept connection is dead, and one more try of what only reads. What does not: how
to connect (`postgres`), and trying a transaction again (who knows what may be repeated does that).

Servers end sessions that are idle, so do poolers and firewalls; a restart and a failover end all of them. None of it is
a failure of the work that comes next.
"""

import os
import select
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from resources.postgres import GONE, Connection, Postgres, rollback

T = TypeVar("T")


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


@dataclass
class WarmConnection:
    """One connection in autocommit mode. Opened at its first use; a forked child opens its own."""

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

    def close(self) -> None:
        """Drop the connection; the next use makes a new one."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == os.getpid():
            kept[1].close()
