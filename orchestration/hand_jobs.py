"""The jobs that people start from the Launchpad: redrive, erase, backfill, reconcile. They do what the commands do.

What belongs here: their described config, and their results as metadata. What does not: the work (`assets`), and the
commands (`orchestration.cli`). The audit is that of the commands, with the id of the run; who pressed the button is not
known, since Dagster's UI has no login, so the actor is the user of the operating system that runs the worker.

Dagster stores a run's config. Of `erase_user` that is the id of a person: the run takes it out of Dagster's tables
before it does anything else, and no log, event or result of it holds the id.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from assets import audit
from assets.aggregates import asset_metadata
from assets.aggregates.catalog import REBUILDABLE
from assets.aggregates.markdown import markdown_table
from assets.aggregates.progress import RebuildProgress
from assets.aggregates.specs import asset_key
from assets.aggregates.writer import AggregateWriter
from assets.dead_letters.redrive import Redrive, Redriven
from assets.dead_letters.selection import Selection
from assets.erasure.erase import Eraser
from assets.ingest import unconfigured_topics
from assets.ingest.worker import Worker
from assets.quality.reconcile import PartitionResult, reconcile
from contract.codes import RejectionCode
from orchestration.backfill_range import RangeError, read_range, read_tables
from orchestration.setting_values import parse_duration
from resources.postgres import Connection, Postgres, no_rows_in_errors

REDRIVE_JOB, ERASE_JOB, BACKFILL_JOB, RECONCILE_JOB = "redrive_dead_letters", "erase_user", "backfill", "reconcile"
NAMES = (REDRIVE_JOB, ERASE_JOB, BACKFILL_JOB, RECONCILE_JOB)
TAKEN_OUT = "(taken out of the run's config when it began)"
APPLICATION = "millrace-hand"
_OUTCOMES = ("stored", "duplicate", "refused", "erased", "expired")
_COUNTED = ("records", "stored", "duplicates", "dead_letters", "tombstones", "erased", "expired")
# The run's config, where Dagster keeps it.
_TAKE_OUT = """
update dagster.runs set run_body = jsonb_set(run_body::jsonb, %(path)s, to_jsonb(%(text)s::text))::text
where run_id = %(run)s and run_body::jsonb #> %(path)s is not null
"""
_USER = ["run_config", "ops", "erase", "config", "user"]


def _text(description: str, default: str = "") -> Any:
    return Field(default=default, description=description)


class RedriveConfig(dg.Config):
    """Which dead letters are tried again: `ids`, or any of code, topic, since and until, or `everything`."""

    code: list[str] = Field(default=[], description="With one of these codes (docs/events.md), such as unknown_type.")
    ids: list[int] = Field(default=[], description="These dead letters, by their numbers; discarded ones too.")
    topic: str = _text("Of this topic.")
    since: str = _text("Refused first at or after: 2026-05-18T14:00 (UTC), or 2h for that long ago.")
    until: str = _text("Refused first before: as since.")
    everything: bool = Field(default=False, description="All open dead letters.")
    dry_run: bool = Field(
        default=True, description="Say what would become of them, and change nothing. Set it to false to redrive."
    )


class EraseConfig(dg.Config):
    """Who is erased. It cannot be undone."""

    user: str = Field(
        description="The user's id. It is taken out of the run's config as soon as the run begins; in your browser the "
        "Launchpad remembers it until you close its tab there. `millrace erase --user -` leaves no trace anywhere."
    )
    dry_run: bool = Field(default=True, description="Count what is stored of the user, and change nothing.")
    offline: bool = Field(default=False, description="Do not ask Kafka: what is not ingested yet will be stored.")


class BackfillConfig(dg.Config):
    """Which hours are rebuilt, by `first` and `last`, or by `days`."""

    first: str = _text("The first day or hour: 2026-01-31 or 2026-01-31T08. UTC.")
    last: str = _text("The last day or hour, included; empty: until now.")
    days: int = Field(default=0, ge=0, description="Instead: so many days, the last of them today.")
    tables: list[str] = Field(default=[], description="Only these tables; none: all.")


@dg.op(name="redrive")
def _redrive(
    context: dg.OpExecutionContext, config: RedriveConfig, worker: dg.ResourceParam[Worker]
) -> dg.Output[None]:
    choice = chosen(config, datetime.now(UTC))
    with no_rows_in_errors():
        done = Redrive(worker, choice, context.log, dry_run=config.dry_run, run=context.run.run_id)()
    context.log.info("%d dead letters of: %s", done.chosen, choice)
    return dg.Output(None, metadata={"chosen_by": str(choice), "dry_run": config.dry_run, **_redriven(done)})


def chosen(config: RedriveConfig, now: datetime) -> Selection:
    """The dead letters that the config means.

    Raises:
        dg.Failure: nothing was chosen, or in two ways, or something cannot be read.
    """
    conditions = [bool(each) for each in (config.code, config.topic, config.since, config.until)]
    if [bool(config.ids), any(conditions), config.everything].count(True) != 1:
        raise _refused("Name dead letters by ids, or choose by code, topic, since or until, or set everything.")
    if unknown := sorted(set(config.code) - {each.value for each in RejectionCode}):
        raise _refused(f"no such code: {', '.join(unknown)}; there are {', '.join(RejectionCode)}")
    if config.ids:
        return Selection(ids=tuple(dict.fromkeys(config.ids)), statuses=("open", "discarded"))
    since, until = _moment("since", config.since, now), _moment("until", config.until, now)
    return Selection(codes=tuple(config.code) or None, topic=config.topic or None, since=since, until=until)


def _moment(name: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        ago = parse_duration(text)
        if isinstance(ago, timedelta):
            return now - ago
    except (ValueError, OverflowError):
        pass
    raise _refused(f"{name}: expected a time such as 2026-05-18T14:00 (UTC), or 2h for that long ago")


def _redriven(done: Redriven) -> dict[str, Any]:
    rows = [(code, *(counts.get(each, 0) for each in _OUTCOMES)) for code, counts in sorted(done.by_code.items())]
    totals = {each: done.total(each) for each in _OUTCOMES}
    table = markdown_table(("code", *_OUTCOMES), rows) if rows else "no dead letters"
    return {"chosen": done.chosen, **totals, "skipped": done.skipped, "by_code": dg.MetadataValue.md(table)}


def _erase(topics: tuple[str, ...]) -> dg.OpDefinition:
    @dg.op(name="erase")
    def erase(
        context: dg.OpExecutionContext,
        config: EraseConfig,
        worker: dg.ResourceParam[Worker],
        aggregates: dg.ResourceParam[AggregateWriter],
        postgres: dg.ResourceParam[Postgres],
    ) -> dg.Output[None]:
        with postgres.connect(APPLICATION) as connection:
            take_out_user(connection, context.run.run_id)
        if config.user in ("", TAKEN_OUT):
            raise _refused("This run's config does not hold the user any more: start the job from the Launchpad.")
        eraser = Eraser(postgres, worker.kafka, topics, aggregates, audit.actor(), context.run.run_id)
        with no_rows_in_errors():
            if config.dry_run:
                return dg.Output(None, metadata={"dry_run": True, **eraser.look(config.user)._asdict()})
            done = eraser.erase(config.user, offline=config.offline, progress=context.log.info)
        return dg.Output(None, metadata={"dry_run": False, **done._asdict(), "seconds": round(done.seconds, 3)})

    return erase


def take_out_user(connection: Connection, run_id: str) -> None:
    """Replace the id in the config of a run of `erase_user` as Dagster stores it; nothing without Dagster's tables."""
    if connection.execute("select to_regclass('dagster.runs') is null").fetchone() == (True,):
        return
    connection.execute(_TAKE_OUT, {"path": _USER, "text": TAKEN_OUT, "run": run_id})


@dg.op(name="rebuild")
def _backfill(
    context: dg.OpExecutionContext,
    config: BackfillConfig,
    aggregates: dg.ResourceParam[AggregateWriter],
    postgres: dg.ResourceParam[Postgres],
) -> dg.Output[None]:
    try:
        span = read_range(config.first or None, config.last or None, config.days or None, datetime.now(UTC))
        names = read_tables(",".join(config.tables) or None, REBUILDABLE)
    except RangeError as error:
        raise _refused(str(error)) from None
    if (frontier := aggregates.frontier_now()) and span.low < frontier:
        raise _refused(
            f"raw events before {frontier:%Y-%m-%d %H:%M} UTC were dropped: nothing before it can be rebuilt"
        )
    with no_rows_in_errors():
        rebuilt = aggregates.rebuild(*span, names, RebuildProgress(context.log.info))
    with postgres.connect(APPLICATION, statement_timeout_seconds=10) as connection:
        shown = asset_metadata.current_metadata(connection, rebuilt.rows)
    for name, metadata in shown.items():
        drift = {"drift": rebuilt.drift.get(name, 0), "rebuilt": str(span)}
        context.log_event(dg.AssetMaterialization(asset_key(name), metadata={**metadata, **drift}))
    table = markdown_table(
        ("table", "rows", "drift"), [(n, r, rebuilt.drift.get(n, 0)) for n, r in rebuilt.rows.items()]
    )
    figures = {"rebuilt": str(span), "seconds": round(rebuilt.seconds, 3), "drift": sum(rebuilt.drift.values())}
    return dg.Output(None, metadata={**figures, "tables": dg.MetadataValue.md(table)})


def _reconcile(topics: tuple[str, ...]) -> dg.OpDefinition:
    @dg.op(name="compare")
    def compare(context: dg.OpExecutionContext, worker: dg.ResourceParam[Worker]) -> dg.Output[None]:
        found = reconcile(worker.kafka, worker.postgres, worker.decoder, topics)
        with worker.postgres.connect(APPLICATION) as connection:
            forgotten = unconfigured_topics.unread_records(worker.kafka, connection, topics)
        metadata = _verdicts(found)
        if forgotten or not all(each.balanced for each in found):
            said = unconfigured_topics.describe(forgotten) if forgotten else "some partition is out of balance"
            raise dg.Failure(said, metadata=metadata, allow_retries=False)
        context.log.info("every record ended in exactly one place")
        return dg.Output(None, metadata=metadata)

    return compare


def _verdicts(found: Sequence[PartitionResult]) -> dict[str, Any]:
    sums: Mapping[str, int] = {name: sum(getattr(each.counts, name) for each in found) for name in _COUNTED}
    rows = [
        (f"{v.topic}/{v.partition}", *(getattr(v.counts, n) for n in _COUNTED), v.pending, _wrong(v)) for v in found
    ]
    table = markdown_table(("partition", *_COUNTED, "pending", "verdict"), rows)
    pending = {"pending": sum(each.pending for each in found)}
    return {"balanced": all(v.balanced for v in found), **sums, **pending, "partitions": dg.MetadataValue.md(table)}


def _wrong(found: PartitionResult) -> str:
    if found.balanced:
        return "balanced"
    return f"OUT OF BALANCE: {len(found.missing)} missing, {len(found.doubled)} doubled; {'; '.join(found.problems)}"


def _refused(said: str) -> dg.Failure:
    return dg.Failure(f"{said} Nothing was changed.", allow_retries=False)


_REDRIVE = """
Tries dead letters again with today's code and settings, as `millrace dead-letters redrive` does. What is valid now is
stored, or found to be a duplicate; what is refused again stays open. Begins as a dry run.
Docs: docs/events.md (the codes), docs/runbook.md (MillraceDeadLetterStorm).
"""
_ERASE = """
Erases a user as `millrace erase` does: events, dead letters, what Kafka holds unread; aggregates are repaired. Begins
as a dry run, which counts. The id is taken out of the run's config when the run begins; audit and result know a keyed
hash.
Docs: docs/security.md.
"""
_BACKFILL = """
Rebuilds tables from raw.events for any range of hours or days, as `millrace backfill --local` does. What it corrects is
reported as drift, and 0 is expected. Readers see the old rows until the new ones are committed.
"""
_RECONCILE = """
Proves that every Kafka record ended in exactly one place, as `millrace reconcile` does. The run fails where one did
not.
Docs: docs/runbook.md.
"""


def hand_jobs(topics: tuple[str, ...], linked: Callable[[str], str] = str) -> list[dg.JobDefinition]:
    """All of them, one op each.

    Args:
        topics: those of the settings.
        linked: makes links of the documents that a description names.
    """
    return [
        _job(REDRIVE_JOB, _redrive, linked(_REDRIVE)),
        _job(ERASE_JOB, _erase(topics), linked(_ERASE)),
        _job(BACKFILL_JOB, _backfill, linked(_BACKFILL)),
        _job(RECONCILE_JOB, _reconcile(topics), linked(_RECONCILE)),
    ]


def _job(name: str, op: dg.OpDefinition, description: str) -> dg.JobDefinition:
    @dg.job(name=name, description=description.strip())
    def made() -> None:
        op()

    return made
