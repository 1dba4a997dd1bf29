"""The groups `totals` and `lane`: what was counted, read in one transaction under the lock of the pushers.

What belongs here: reading, and writing what can only be written here. What does not: pushing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from monitoring.metrics import totals
from monitoring.metrics.families import Samples
from monitoring.metrics.preset_counters import preset_counters
from monitoring.metrics.sql import statement
from monitoring.metrics.totals import Total
from resources import locks
from resources.postgres import Connection

# Who pushes totals holds it from before they are read until they are pushed: else older ones could come last.
# A pusher that is frozen would hold it for ever.
_IDLE = "set local idle_in_transaction_session_timeout = '5s'"


class LaneProgress(NamedTuple):
    """What a lane did: when it committed last, as a Unix time, and how many records it accounted for."""

    last_commit: float
    records: float


@dataclass(frozen=True)
class KnownLabels:
    """What can be exported as 0 before it happens: the types of events and the Dagster jobs."""

    types: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    zeros: Mapping[Total, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Made once."""
        object.__setattr__(self, "zeros", dict.fromkeys(preset_counters(self.types, self.jobs), 0.0))


def locked(connection: Connection) -> bool:
    """Begin a transaction and take the lock, unless somebody else has it. A COMMIT or ROLLBACK gives it back."""
    connection.execute("begin")
    connection.execute(_IDLE)
    [[got]] = connection.execute("select pg_try_advisory_xact_lock(%s)", (locks.METRICS,)).fetchall()
    return got


def read(connection: Connection, known: KnownLabels) -> Mapping[Total, float]:
    """All totals; in the transaction of `locked`."""
    amounts = {**known.zeros, **totals.read(connection)}
    for job, cause, runs in connection.execute("select job, cause, runs from ops.failure_causes"):
        amounts[Total("millrace_run_failures_total", (job, cause))] = runs
    if dagster_is_there(connection):
        for job, result, runs in connection.execute(statement("ended_runs")):
            amounts[Total("millrace_runs_total", (job, result))] = runs
    return amounts


def lanes(connection: Connection, most: int) -> dict[int, LaneProgress]:
    """The lanes that have committed something, those below `most`."""
    found = connection.execute(statement("lanes"), {"most": most})
    return {lane: LaneProgress(last_commit, records) for lane, last_commit, records in found}


def lane_samples(lane: LaneProgress) -> Samples:
    """The values of a lane's group."""
    return {
        "millrace_last_commit_timestamp_seconds": {(): lane.last_commit},
        "millrace_lane_records_total": {(): lane.records},
    }


def dagster_is_there(connection: Connection) -> bool:
    """Whether Dagster keeps its tables in this database."""
    [[there]] = connection.execute("select to_regclass('dagster.runs') is not null").fetchall()
    return there
