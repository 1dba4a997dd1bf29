"""What the doctor says of writing: each table of ours, both Redis servers, DAGSTER_HOME.

What belongs here: trying to write, as the user of MILLRACE_POSTGRES_URL, and saying what to do. What does not: which
rights that user should have (`infra.postgres.service_role`), and the folders of the embedded stack
(`infra.local.doctor`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from infra.local import files
from infra.local.preflight import Finding
from infra.postgres.tables import metadata
from orchestration.settings import Settings
from resources.postgres import Connection, Postgres, describe
from resources.redis import reason_of, try_write

# Only `millrace migrate` writes these; the processes read them.
_READ_ONLY = {"ops.alembic_version", "ops.claim_key"}
_MIGRATE = "run millrace migrate, which makes the tables and gives the rights; then ask again"
_REDIS = "docs/runbook.md, MillraceRedisDown and MillraceBrokerDown"
_HOME = "make it a folder of the user that the processes run as, or name another: DAGSTER_HOME"
_TIMEOUT = 5


def examine(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """One finding for each place."""
    yield _tables(settings.postgres_url)
    for name, url in (("claims", settings.redis_url), ("broker", settings.broker_url)):
        if said := _refusal(url):
            yield Finding(f"redis ({name})", "FAIL", f"takes no writes: {said}", _REDIS)
        else:
            yield Finding(f"redis ({name})", "OK", "takes writes")
    if home := environment.get("DAGSTER_HOME"):
        said = files.refusal(Path(home))
        yield Finding("DAGSTER_HOME", "FAIL" if said else "OK", said or f"{home} takes files", _HOME)


def _tables(address: str) -> Finding:
    """It writes nothing: no row is selected, and all of it is rolled back. Locks are as weak as those of an insert."""
    try:
        with Postgres(address).connect("millrace-doctor", statement_timeout_seconds=_TIMEOUT) as connection:
            refused = [said for each in _attempts() if (said := _attempt(connection, each))]
    except psycopg.Error as error:
        return Finding("tables", "FAIL", describe(error), _MIGRATE)
    if refused:
        more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
        return Finding("tables", "FAIL", "; ".join(refused[:3]) + more, _MIGRATE)
    return Finding("tables", "OK", "those of raw, ops and analytics take rows, and raw takes new days")


def _attempts() -> Iterator[tuple[str, sql.Composed]]:
    """What is tried, by the name of the table."""
    insert = sql.SQL("insert into {0} ({1}) overriding system value select {1} from {0} where false")
    for table in metadata.sorted_tables:
        if table.fullname not in _READ_ONLY:
            columns = sql.SQL(", ").join(sql.Identifier(each.name) for each in table.columns if each.computed is None)
            yield table.fullname, insert.format(sql.Identifier(str(table.schema), table.name), columns)
    made, events = sql.Identifier("raw", "millrace_doctor"), sql.Identifier("raw", "events")
    yield "a new day of raw.events", sql.SQL("create table {} (like {})").format(made, events)


def _attempt(connection: Connection, tried: tuple[str, sql.Composed]) -> str:
    """What PostgreSQL says to it; empty if it takes it."""
    name, statement = tried
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local lock_timeout = '2s'")
            connection.execute(statement)
    except psycopg.errors.LockNotAvailable:
        return ""  # somebody alters it now: that says nothing about rights
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return f"{name}: {describe(error)}"
    return ""


def _refusal(url: str) -> str:
    try:
        with redis.Redis.from_url(url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT) as client:
            try_write(client)
    except redis.RedisError as error:
        return reason_of(error)
    return ""
