"""The checks in Dagster: an asset of their own, `quality/exactness`, looked at every hour and after every backfill.

What belongs here: specs, and findings as Dagster's results. What does not: the questions (`exactness`).

They stand on an asset of their own: a failed check on a table that is materialized every few seconds would be gone
from the user interface a few seconds later.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from assets.quality.exactness import CHECKS, CheckedHours, CheckResult, look
from resources.postgres import Postgres

EXACTNESS = dg.AssetKey(["quality", "exactness"])
OP_NAME = "compare_with_raw"
_COMPARED = (
    "raw/events",
    "raw/dead_letters",
    "analytics/events_minutely",
    "analytics/events_hourly",
    "analytics/sessions",
    "analytics/login_audit",
)


def exactness_asset(freshness: timedelta, owners: tuple[str, ...]) -> dg.AssetsDefinition:
    """The asset that carries the checks; materializing it looks at all of them."""

    @dg.multi_asset(
        name=OP_NAME,
        specs=[
            dg.AssetSpec(
                EXACTNESS,
                deps=[dg.AssetKey.from_user_string(key) for key in _COMPARED],
                group_name="quality",
                owners=list(owners),
                kinds={"postgres", "sql"},
                description="What is counted, held against what is stored: the last hours, and one of the past by lot."
                " Asked in one snapshot, exact also while events come in.",
            )
        ],
        check_specs=[dg.AssetCheckSpec(name, asset=EXACTNESS, description=text) for name, text in CHECKS.items()],
    )
    def _compare(
        context: dg.AssetExecutionContext, postgres: dg.ResourceParam[Postgres]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        found = look(postgres, None, freshness)
        for each in found:
            (context.log.info if each.passed else context.log.error)("%s: %s", each.check, each.said)
        yield dg.MaterializeResult(
            asset_key=EXACTNESS,
            metadata={"passed": sum(each.passed for each in found), "failed": sum(not each.passed for each in found)},
            check_results=[
                dg.AssetCheckResult(
                    passed=each.passed,
                    asset_key=EXACTNESS,
                    check_name=each.check,
                    metadata={"said": each.said, **each.figures},
                )
                for each in found
            ],
        )

    return _compare


def report(
    instance: dg.DagsterInstance, postgres: Postgres, spans: list[CheckedHours], freshness: timedelta
) -> list[CheckResult]:
    """Look at spans, after a backfill of them, and show the findings where the hourly ones are shown."""
    found = look(postgres, spans, freshness)
    for each in found:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=EXACTNESS,
                check_name=each.check,
                passed=each.passed,
                metadata={"said": each.said, **each.figures},
                severity=dg.AssetCheckSeverity.ERROR,
            )
        )
    return found
