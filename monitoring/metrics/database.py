"""The connection of the metrics: warm, made anew when it broke, and cut off when PostgreSQL does not answer.

What belongs here: a bound on every use of it. What does not: what is asked (`collect`).
"""

import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from resources.postgres import Connection, Postgres, WarmConnection, is_gone, rollback

APPLICATION = "millrace-metrics"
STATEMENT_SECONDS = 10.0
_PROBE_SECONDS = 3.0


@dataclass
class MetricsDatabase:
    """One warm connection. Not for use by two threads at once."""

    postgres: Postgres
    _warm: WarmConnection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Opens nothing yet."""
        self._warm = WarmConnection(self.postgres, APPLICATION, statement_timeout_seconds=STATEMENT_SECONDS)

    @contextmanager
    def asking(self, seconds: float = STATEMENT_SECONDS) -> Generator[Connection]:
        """The connection, for so long; whatever transaction is left open is rolled back.

        Raises:
            psycopg.Error: PostgreSQL cannot be reached, or did not answer in time.
        """
        connection = self._warm.connection()
        with _cut_off(connection, seconds):
            try:
                yield connection
            except psycopg.Error as error:
                if is_gone(error):
                    connection.close()
                raise
            finally:
                if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                    rollback(connection)

    def answers(self) -> bool:
        """Whether PostgreSQL answers; a connection that did not survive a restart is made anew."""
        for _ in range(2):
            began, new = time.monotonic(), not self._warm.is_open
            with suppress(psycopg.Error), self.asking(_PROBE_SECONDS) as connection:
                connection.execute("select 1")
                return True
            self.close()
            if new or time.monotonic() - began > _PROBE_SECONDS / 2:
                break
        return False

    def close(self) -> None:
        """Drop the connection; the next use makes a new one."""
        self._warm.close()


@contextmanager
def _cut_off(connection: Connection, seconds: float) -> Generator[None]:
    """End the connection after so long. A server that is frozen enforces no time-out, and TCP goes on answering."""
    timer = threading.Timer(seconds, _shut_down, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as shared:
        shared.shutdown(socket.SHUT_RDWR)
