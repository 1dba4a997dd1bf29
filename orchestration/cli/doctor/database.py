"""What the doctor says of the database: whether it takes writes, and what the analysts' role may do.

What belongs here: asking and saying what to do. What does not: whether the server runs (`infra.local.doctor`).
"""

import psycopg

from infra.local import postgres
from infra.local.preflight import Finding
from infra.postgres.sql import statement
from resources.postgres import Postgres, describe

_WRITES = (
    "nothing is lost, events wait in Kafka: see its log; it must not be a standby, default_transaction_read_only "
    "must be off (alter database, role, system), and there must be room on its disk"
)

_TAKE_AWAY = (
    "run millrace migrate as a superuser, or as an administrator what docs/security.md lists under A hostile analyst; "
    "where neither can be, give analysts a replica"
)


def database(address: str) -> Finding:
    """Whether a session of Millrace's own can be had, holds every text, and can write: down to the log on the disk."""
    try:
        with Postgres(address).connect("millrace-doctor", statement_timeout_seconds=5) as connection:
            encoding = connection.execute("show server_encoding").fetchone()
            connection.execute("select pg_logical_emit_message(true, 'millrace', '')")
    except psycopg.Error as error:
        return Finding("database", "FAIL", describe(error), _WRITES)
    if encoding != ("UTF8",):
        advice = "make a database with encoding 'UTF8' template template0, and move what is in this one"
        return Finding("database", "FAIL", f"its encoding is {encoding and encoding[0]}, not UTF8", advice)
    return Finding("database", "OK", "takes writes, in UTF8")


def rights(address: str) -> Finding:
    """Whether the analysts' role may what it should not; `migrate` takes away what its user can."""
    try:
        with Postgres(address).connect("millrace-doctor", statement_timeout_seconds=5) as connection:
            excess = [str(each) for (each,) in connection.execute(statement("excess")).fetchall()]
    except psycopg.errors.UndefinedObject:
        return Finding("analysts' rights", "OK", "there is no role millrace_analyst")
    except psycopg.Error as error:
        return Finding("analysts' rights", "WARN", describe(error), "see its log, then: millrace doctor")
    if excess:
        return Finding("analysts' rights", "WARN", f"millrace_analyst {'; '.join(excess)}", _TAKE_AWAY)
    return Finding("analysts' rights", "OK", "no more than docs/security.md says")


def analysts(address: str) -> Finding:
    """Whether the analysts' role can log in."""
    if postgres.answers(address):
        return Finding("analysts", "OK", "millrace_analyst reaches the tables: MILLRACE_ANALYST_URL of millrace env")
    advice = "see logs/migrate.log, and what MILLRACE_ANALYST_PASSWORD says in docs/settings.md"
    return Finding("analysts", "WARN", "millrace_analyst cannot log in", advice)
