"""The op of the job `fill_history`: rebuilds days that aggregates lack, for some minutes, and shows what is left.

What belongs here: what it reports. What does not: which days are next (`history`), their rebuilding (`rebuild`), the
job (`orchestration.jobs`), and when it is requested (`sensors.aggregate_history`).
"""

from datetime import UTC, datetime

import dagster as dg

from assets.aggregates import asset_metadata, history
from assets.aggregates.assets import APPLICATION
from assets.aggregates.partition_status import PartitionStatus
from assets.aggregates.progress import RebuildProgress
from assets.aggregates.specs import asset_key
from assets.aggregates.writer import AggregateWriter
from monitoring.metrics.resource import Metrics
from resources.postgres import Postgres, no_rows_in_errors

OP_NAME = "rebuild_missing_days"
# A run is as long as it takes for others of its queue not to wait for it; what is left is the next run's.
_WITHIN = 300.0


@dg.op(name=OP_NAME)
def fill(
    context: dg.OpExecutionContext,
    aggregates: dg.ResourceParam[AggregateWriter],
    partitions: dg.ResourceParam[PartitionStatus],
    postgres: dg.ResourceParam[Postgres],
    metrics: dg.ResourceParam[Metrics],
) -> None:
    """Rebuild week by week, then show the tables that were rebuilt."""
    try:
        _fill(context, aggregates, partitions, postgres)
    finally:
        metrics.after_run(None, context.log)


def _fill(
    context: dg.OpExecutionContext, aggregates: AggregateWriter, partitions: PartitionStatus, postgres: Postgres
) -> None:
    with no_rows_in_errors():
        steps = aggregates.fill(_WITHIN, RebuildProgress(context.log.info))
        left = history.describe(aggregates.history())
    for step in steps:
        context.log.info("rebuilt %s from %s to %s", ", ".join(sorted(step.tables)), step.first, step.last)
    context.log.info(left or "every table is whole")
    names = sorted({name for step in steps for name in step.tables})
    with postgres.connect(APPLICATION, statement_timeout_seconds=10) as connection:
        partitions.tell(context.instance, connection, datetime.now(UTC))
        shown = asset_metadata.current_metadata(connection, names)
    for name in names:
        context.log_event(dg.AssetMaterialization(asset_key(name), metadata=shown[name]))
