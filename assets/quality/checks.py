"""The checks in Dagster: each on the page of the table that it is about.

What belongs here: which check stands on which table, and findings as Dagster's results. What does not: the questions
(`exactness`).

They are looked at every hour by the job `check_exactness`, and by each run that rebuilds their tables, when it is done.
A failure must stay in view (docs/adr/0025-checks-on-the-tables.md). Dagster takes an evaluation for outdated as soon as
the table is materialized again, and a refresh does that every few seconds. An evaluation that names a partition is
outdated only when that partition is made again. So each result is recorded a second time, for the hour or the day that
it is about. And what was wrong is compared again in the next evaluation, until it is right.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from assets.aggregates.assets import DAILY
from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.specs import key_of
from assets.periods import TimeSpan, day_key, hour_key, span_of_keys
from assets.quality.exactness import CHECKS, COUNTED_CHECKS, CheckResult, look, some_days
from resources.postgres import Postgres, no_rows_in_errors

OP_NAME = "compare_with_raw"
TABLES: Mapping[str, str] = MappingProxyType(
    {
        "minute_counts_equal_raw": "analytics.events_minutely",
        "hourly_counts_equal_raw": "analytics.events_hourly",
        "session_events_equal_raw": "analytics.sessions",
        "login_audit_equals_raw": "analytics.login_audit",
        "logins_hourly_equals_audit": "analytics.logins_hourly",
        "user_days_equal_minutes": AGGREGATES["user_days"].table,
        "active_users_equal_user_days": "analytics.active_users_daily",
        **{check: table.table for check, table in COUNTED_CHECKS.items()},
        "no_hour_waits_too_long": "analytics.events_hourly",
        "ledger_equals_tables": "raw.events",
    }
)
_BY_DAY = frozenset(AGGREGATES[name].table for name in DAILY)
_WRONG = "wrong_spans"
_MOST_WRONG = 12  # spans of each check that are compared again
_EVALUATED = frozenset({AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED})


def check_key(name: str) -> dg.AssetCheckKey:
    """The check on its table."""
    return dg.AssetCheckKey(key_of(TABLES[name]), name)


def table_checks(freshness: timedelta) -> dg.AssetChecksDefinition:
    """All checks, made by one op, of which a run may choose some."""

    @dg.multi_asset_check(
        name=OP_NAME,
        specs=[dg.AssetCheckSpec(name, asset=key_of(TABLES[name]), description=text) for name, text in CHECKS.items()],
        can_subset=True,
        description="Compares what is counted with what is stored, in one snapshot, exact also while events come in.",
    )
    def _compare(
        context: dg.AssetCheckExecutionContext, postgres: dg.ResourceParam[Postgres]
    ) -> Iterator[dg.AssetCheckResult]:
        names = {key.name for key in context.selected_asset_check_keys}
        with no_rows_in_errors():
            spans, again = rebuilt_spans(context.run.tags), wrong_before(context.instance, names)
            found = look(postgres, spans, freshness, again, names)
        for each in found:
            (context.log.info if each.passed else context.log.error)("%s: %s", each.check, each.said)
            yield _result(each)
            # It takes evaluations, too; its annotation does not say so.
            context.op_execution_context.log_event(_evaluation(each))  # pyright: ignore[reportArgumentType]

    return _compare


def rebuilt_spans(tags: Mapping[str, str]) -> list[TimeSpan] | None:
    """What the run rebuilt, or some days of it; None for one without partitions."""
    one = tags.get(PARTITION_NAME_TAG)
    first, last = tags.get(ASSET_PARTITION_RANGE_START_TAG, one), tags.get(ASSET_PARTITION_RANGE_END_TAG, one)
    return None if first is None or last is None else some_days(span_of_keys(first, last))


def wrong_before(instance: dg.DagsterInstance, names: set[str]) -> list[TimeSpan]:
    """The spans for which the newest evaluations of these checks failed."""
    found: list[TimeSpan] = []
    for name in sorted(names):
        records = instance.event_log_storage.get_asset_check_execution_history(
            check_key(name), limit=1, status=_EVALUATED
        )
        evaluation = records[0].evaluation if records else None
        recorded = evaluation.metadata.get(_WRONG) if evaluation else None
        pairs = cast("list[list[str]]", recorded.value) if isinstance(recorded, dg.JsonMetadataValue) else []
        found += [TimeSpan(datetime.fromisoformat(low), datetime.fromisoformat(high)) for low, high in pairs]
    return found


def _result(each: CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=each.passed, asset_key=key_of(TABLES[each.check]), check_name=each.check, metadata=_metadata(each)
    )


def _evaluation(each: CheckResult) -> dg.AssetCheckEvaluation:
    """The same for the hour or the day that it is about: the first that is wrong, or the one that runs."""
    table = TABLES[each.check]
    about = each.wrong[0].low if each.wrong else datetime.now(UTC)
    return dg.AssetCheckEvaluation(
        asset_key=key_of(table),
        check_name=each.check,
        passed=each.passed,
        metadata=_metadata(each),
        partition=day_key(about) if table in _BY_DAY else hour_key(about),
    )


def _metadata(each: CheckResult) -> dict[str, Any]:
    spans = [[low.isoformat(), high.isoformat()] for low, high in each.wrong[:_MOST_WRONG]]
    return {"said": each.said, **each.figures, **({_WRONG: dg.MetadataValue.json(spans)} if spans else {})}
