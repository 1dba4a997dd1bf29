"""Ends database sessions of frozen ingest workers that block us.

A client that was stopped in the middle of a COPY holds its locks for ever: no server time-out fires while the server
waits for its client. What belongs here: finding and ending such sessions. What does not: deciding to try again.
"""

import contextlib
import threading
from collections.abc import Generator

import psycopg

from resources.postgres import INGEST_APPLICATION, Connection, Postgres

_LOOK_EVERY_SECONDS = 0.5
_EVICT = """
select pg_terminate_backend(a.pid)
from unnest(pg_blocking_pids(%s)) as b (pid) inner join pg_stat_activity as a on a.pid = b.pid
where a.application_name = %s and a.xact_start < clock_timestamp() - make_interval(secs => %s)
"""


@contextlib.contextmanager
def terminating_blockers(postgres: Postgres, blocked: Connection, older_than_seconds: float) -> Generator[None]:
    """While the body runs, end the ingest sessions that block `blocked` and whose transactions are that old."""
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(postgres, blocked.info.backend_pid, older_than_seconds, done), daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join(timeout=10)


def _watch(postgres: Postgres, pid: int, older_than_seconds: float, done: threading.Event) -> None:
    # A database that is away is the blocked session's trouble, and it says so itself.
    with (
        contextlib.suppress(psycopg.Error),
        postgres.connect("millrace-evict", statement_timeout_seconds=5) as watching,
    ):
        while not done.wait(_LOOK_EVERY_SECONDS):
            watching.execute(_EVICT, (pid, INGEST_APPLICATION, older_than_seconds))
