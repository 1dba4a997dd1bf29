"""The upkeep as Dagster assets, group `upkeep`: figures, and the sizes of the tables concerned, are in their metadata.

What belongs here: specs, and figures as metadata. What does not: the work (the other modules here), the jobs
(`orchestration.jobs`), and when they run (`sensors.upkeep_schedules`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import dagster as dg

from assets.aggregates.preview import markdown_table
from assets.aggregates.writer import AggregateWriter
from assets.ingest.partitions import Partitions
from assets.upkeep import dagster_history, ledger_history, retention, reused_ids, sizes
from assets.upkeep.dagster_history import RunHistory
from assets.upkeep.ledger_history import LedgerHistory
from resources.postgres import Postgres

APPLICATION = "millrace-upkeep"
GROUP = "upkeep"


@dataclass(frozen=True)
class Upkeep:
    """The database, its aggregates, and how long what is kept in it; raw events for ever with `retention_days` 0."""

    postgres: Postgres
    aggregates: AggregateWriter
    runs: RunHistory
    ledger: LedgerHistory = field(default_factory=LedgerHistory)
    retention_days: int = 0


class _Piece(NamedTuple):
    """A piece of upkeep: what it says of itself, and the work, which returns metadata."""

    description: str
    work: Callable[[dg.AssetExecutionContext, Upkeep], dict[str, Any]]


def asset_key(name: str) -> dg.AssetKey:
    """The asset of a piece of upkeep."""
    return dg.AssetKey([GROUP, name])


def upkeep_assets(owners: Iterable[str]) -> list[dg.AssetsDefinition]:
    """The asset definitions; they need the resource `upkeep`."""
    return [_definition(name, piece, list(owners)) for name, piece in _PIECES.items()]


def _definition(name: str, piece: _Piece, owners: list[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(name), group_name=GROUP, owners=owners, kinds={"postgres", "sql"}, description=piece.description
    )
    def _asset(context: dg.AssetExecutionContext, upkeep: dg.ResourceParam[Upkeep]) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata=piece.work(context, upkeep))

    return _asset


def _partitions(_context: dg.AssetExecutionContext, upkeep: Upkeep) -> dict[str, Any]:
    partitions = Partitions()
    with upkeep.postgres.connect(APPLICATION) as connection:
        partitions.ensure(connection, [], datetime.now(UTC).date())
        figures = {
            "partitions": len(partitions.days),
            "first_day": str(partitions.first_day),
            "last_day": str(max(partitions.days)),
        }
        return {**figures, **sizes.metadata(connection, "raw")}


def _retention(context: dg.AssetExecutionContext, upkeep: Upkeep) -> dict[str, Any]:
    done = retention.apply(upkeep.postgres, upkeep.aggregates, upkeep.retention_days, context.run.run_id)
    if done.left:
        context.log.warning("%s is locked by readers; the next run drops it", ", ".join(done.left))
    figures = {
        **asdict(done),
        "retention_days": upkeep.retention_days or "off",
        "frontier": done.frontier.isoformat() if done.frontier else "nothing was dropped",
    }
    with upkeep.postgres.connect(APPLICATION) as connection:
        return {**_rounded(figures), **sizes.metadata(connection, "raw")}


def _dagster_history(context: dg.AssetExecutionContext, upkeep: Upkeep) -> dict[str, Any]:
    trimmed = dagster_history.trim(upkeep.postgres, upkeep.runs)
    _warn_if_not_done(context, done=trimmed.done)
    deleted = {f"{table}_deleted": rows for table, rows in trimmed.rows.items()}
    figures = {**asdict(trimmed), "runs_deleted": trimmed.runs, **deleted}
    del figures["rows"]
    with upkeep.postgres.connect(APPLICATION) as connection:
        return {**_rounded(figures), **sizes.metadata(connection, "dagster")}


def _ledger(context: dg.AssetExecutionContext, upkeep: Upkeep) -> dict[str, Any]:
    closed = ledger_history.fold_ledger(upkeep.postgres, upkeep.ledger, context.run.run_id)
    _warn_if_not_done(context, done=closed.done)
    with upkeep.postgres.connect(APPLICATION) as connection:
        return {**_rounded(asdict(closed)), **sizes.metadata(connection, "ops")}


def _reused_ids(context: dg.AssetExecutionContext, upkeep: Upkeep) -> dict[str, Any]:
    found = reused_ids.find(upkeep.postgres)
    if found.events:
        context.log.warning("%d events of %s came under ids that were used before", found.events, found.day)
    with upkeep.postgres.connect(APPLICATION) as connection:
        newest = markdown_table(*reused_ids.newest(connection))
    days = {"day": str(found.day), "since": str(found.since)}
    return {**_rounded(asdict(found)), **days, "newest": dg.MetadataValue.md(newest)}


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}


def _warn_if_not_done(context: dg.AssetExecutionContext, *, done: bool) -> None:
    if not done:
        context.log.warning("the time for this is over; the next run goes on from here")


_PIECES: Mapping[str, _Piece] = MappingProxyType(
    {
        "partitions": _Piece(
            "The day partitions of `raw.events`, made a week ahead. A run that needs one makes it itself; made ahead, "
            "no run waits for it.",
            _partitions,
        ),
        "retention": _Piece(
            "Drops raw events from before the last `MILLRACE_RETENTION_DAYS` days, and freezes the aggregates there: "
            "what comes in behind the frontier is counted as expired. Off by default.",
            _retention,
        ),
        "dagster_history": _Piece(
            "Dagster's own tables, trimmed of finished runs that are older than `MILLRACE_RUN_HISTORY` (failed ones: "
            "`MILLRACE_FAILED_RUN_HISTORY`). Runs that hold the newest event of an asset, of a partition or of a check "
            "stay, and runs of backfills.",
            _dagster_history,
        ),
        "ledger": _Piece(
            "The ledger's batches that are older than `MILLRACE_LEDGER_DAYS` are folded into a sum an hour, and after "
            "three more months into one; the sums stay the same. Settled dead letters and audit entries are forgotten "
            "after `MILLRACE_DEAD_LETTER_DAYS` and `MILLRACE_AUDIT_DAYS`; open dead letters never.",
            _ledger,
        ),
        "reused_ids": _Piece(
            "Ids under which events of different times are stored: those of yesterday's arrivals that another event of "
            "the week before has. Producers are to use an id once; both events stay. Table `ops.reused_ids`.",
            _reused_ids,
        ),
    }
)

# Of the assets, without the group.
NAMES = tuple(_PIECES)
