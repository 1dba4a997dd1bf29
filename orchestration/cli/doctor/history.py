"""What the doctor says of the aggregates: tables that lack days of their history.

What belongs here: asking and saying what to do. What does not: which days a table lacks (`assets.aggregates.history`).
"""

from collections.abc import Iterator

import psycopg

from assets.aggregates import history
from infra.local.preflight import Finding
from orchestration.settings import Settings
from resources.postgres import Postgres, describe

_NAME = "aggregates"
_WAIT = (
    "nothing: the sensor aggregate_history has them rebuilt in the background, see analytics.freshness; if the number "
    "does not fall, look at the runs of fill_history in Dagster's UI, or rebuild them: millrace backfill"
)
_ASK_AGAIN = "ask again when PostgreSQL answers and millrace migrate has run"


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding for each table that lacks days, or one that says that all are whole."""
    try:
        with Postgres(settings.postgres_url).connect("millrace-doctor", statement_timeout_seconds=5) as connection:
            lacking = history.lacking_tables(history.read(connection))
    except psycopg.Error as error:
        yield Finding(_NAME, "WARN", f"nobody can tell whether they are whole: {describe(error)}", _ASK_AGAIN)
        return
    for text in lacking:
        yield Finding(_NAME, "WARN", text, _WAIT)
    if not lacking:
        yield Finding(_NAME, "OK", "every table is whole")
