"""This process's connections to Dagster's own tables.

What belongs here: one small pool for each URL. What does not: what is asked over it (`storages`), and Millrace's own
connections (`resources.postgres`).

Dagster makes a new instance for every run and for many a request, so a pool cannot live in a storage: it is a
module-level engine, which a forked child forgets without closing (the sockets are its parent's).
"""

import os
import threading
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, Engine

from orchestration.dagster_runtime import dialect
from orchestration.dagster_runtime.dialect import SCHEMA
from resources.sqlalchemy_url import sqlalchemy_url

__all__ = ["APPLICATION_NAME", "SCHEMA", "close_connections", "dagster_url", "shared_engine"]

APPLICATION_NAME = "millrace-dagster"

# Idle connections stay, the overflow is closed when it comes back. Only the daemon's threads ever need that many.
_POOL: Mapping[str, Any] = {"pool_size": 5, "max_overflow": 10, "pool_timeout": 10, "pool_use_lifo": True}
_CONNECT: Mapping[str, Any] = {
    "application_name": APPLICATION_NAME,
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

_engines: dict[tuple[str, str], Engine] = {}
_lock = threading.Lock()


def _forget_connections() -> None:
    """In a forked child: the sockets are its parent's; the lock may be held by a thread that was not forked."""
    global _lock
    _lock = threading.Lock()
    for engine in _engines.values():
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)


def dagster_url(postgres_url: str) -> URL:
    """The URL of Dagster's schema: psycopg 2 by name (SQLAlchemy's default is 3, on which dagster's NOTIFY breaks)."""
    return sqlalchemy_url(postgres_url, dialect.NAME)


def shared_engine(url: URL, **options: Any) -> Engine:
    """This process's engine for a URL, made once; `options` replace those of the pool."""
    key = (url.render_as_string(hide_password=False), repr(sorted(options.items())))
    with _lock:
        if key not in _engines:
            _engines[key] = sqlalchemy.create_engine(
                url,
                isolation_level="AUTOCOMMIT",
                pool_pre_ping=True,  # a restarted server costs a reconnect, not a failed operation
                connect_args=dict(_CONNECT),
                **{**_POOL, **options},
            )
        return _engines[key]


def close_connections() -> None:
    """Close what is idle, before a fork: a child would inherit the sockets."""
    for engine in _engines.values():
        engine.dispose()
