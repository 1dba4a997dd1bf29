"""Why a run failed: from what Dagster wrote down about it to a short and stable name. Pure.

What belongs here: the names. What does not: finding failed runs and counting them (`run_failures`).

A cause is a class of failures. It is made of names that stand in code (of exceptions, of modules, of SQLSTATEs) and
never of an error's text, which may quote data. So there are few, and each can be the label of a metric:

- `max runtime`, `not started` (its message was lost, or no worker took it in time), `worker lost` (killed, crashed or
  out of memory), `interrupted` (its worker was told to end), `launch failed: <Exception>` (it never got to a worker),
  `marked as failed` (by a person, or by Dagster without a reason);
- `StorageFailed: <what>` and `DatabaseFailed: <what>`: `connection`, `lock timeout`, or psycopg's name of the SQLSTATE;
- `PartitionsUnreadable: <topic>/<partition> at offset <n>: <error>`, of the first partition that Kafka withheld;
- `<Exception>` for exceptions of our own, `<Exception> in <module of ours>` for all others.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import psycopg
from dagster import DagsterEvent, DagsterEventType
from dagster._core.events import EngineEventData, JobFailureData, RunFailureReason
from dagster_shared.error import SerializableErrorInfo

from assets.ingest.event_writer import PartitionMissing
from assets.ingest.pull import PartitionsUnreadable
from assets.ingest.retry import StorageFailed
from resources.kafka import KafkaUnavailable
from resources.postgres import CommitLost, DatabaseFailed

UNKNOWN = "unknown"
MAX_RUNTIME, NOT_STARTED, WORKER_LOST, INTERRUPTED = "max runtime", "not started", "worker lost", "interrupted"
LAUNCH_FAILED, MARKED = "launch failed", "marked as failed"

# Beginnings of what Dagster's run monitoring and `orchestration.dagster_runtime.worker` say of runs that cannot speak
# any more.
_SAID: Mapping[str, str] = MappingProxyType(
    {
        "Exceeded maximum runtime": MAX_RUNTIME,
        "Canceling due to exceeding maximum runtime": MAX_RUNTIME,
        "Detected run worker status": WORKER_LOST,
        "The run was ended from outside": WORKER_LOST,
    }
)
_REASONS: Mapping[RunFailureReason, str] = MappingProxyType(
    {
        RunFailureReason.START_TIMEOUT: NOT_STARTED,
        RunFailureReason.UNEXPECTED_TERMINATION: INTERRUPTED,
        RunFailureReason.RUN_WORKER_RESTART: WORKER_LOST,
    }
)
# Their texts are those of `resources.postgres.describe`: first the name of the exception, then the SQLSTATE.
_DESCRIBED = (StorageFailed.__name__, DatabaseFailed.__name__)
_DESCRIPTION = re.compile(r"(?P<name>\w+)(?: (?P<sqlstate>[0-9A-Z]{5}))?(?=[:( ]|$)")
# A topic's name is configuration and an error's name stands in code: neither can quote a record.
_WITHHELD = re.compile(r"[\w.-]{1,249}/\d+ at offset \d+: (?:[A-Z_]{1,60}(?=: )|no record came)")
_OURS = frozenset(each.__name__ for each in (KafkaUnavailable, CommitLost, PartitionMissing))
_STATES: Mapping[str, str] = MappingProxyType({"55P03": "lock timeout", "40P01": "deadlock", "40001": "serialization"})
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,79}")
_FRAME = re.compile(r'File "(?P<path>[^"\n]+)\.py"')
# By the folder that our packages are installed in: other libraries have folders of the same names (celery/events).
_FOLDER = Path(__file__).parents[1]
_PACKAGES = ("contract", "resources", "monitoring", "producer", "infra", "assets", "sensors", "orchestration")


def cause_of(events: Iterable[DagsterEvent]) -> str:
    """The cause.

    Args:
        events: of one failed run in their order: failures, cancellations that were asked for, and engine events with
            an error; others do no harm.
    """
    found = list(events)
    if any(_by_message(each) == MAX_RUNTIME for each in found):
        return MAX_RUNTIME
    failures = [e for e in found if e.event_type == DagsterEventType.RUN_FAILURE]
    if not failures:
        return UNKNOWN
    # The first one made the run a failed one; a worker that goes on may have another afterwards.
    return _told(failures[0]) or _launch(found) or MARKED


def _told(failure: DagsterEvent) -> str | None:
    """What a failure says of itself."""
    data = failure.event_specific_data
    if isinstance(data, JobFailureData):
        if data.failure_reason is not None and data.failure_reason in _REASONS:
            return _REASONS[data.failure_reason]
        error = _error_of(data)
        if error is not None:
            return of_error(error)
    return _by_message(failure)


def _by_message(event: DagsterEvent) -> str | None:
    return next((cause for text, cause in _SAID.items() if (event.message or "").startswith(text)), None)


def _error_of(data: JobFailureData) -> SerializableErrorInfo | None:
    first = data.first_step_failure_event
    return (first.step_failure_data.error if first is not None else None) or data.error


def _launch(events: Iterable[DagsterEvent]) -> str | None:
    errors = [e.event_specific_data.error for e in events if isinstance(e.event_specific_data, EngineEventData)]
    named = [error for error in errors if error is not None]
    return f"{LAUNCH_FAILED}: {_name(_innermost(named[0]))}" if named else None


def of_error(error: SerializableErrorInfo) -> str:
    """The cause of a run that ended with an exception."""
    error = _innermost(error)
    name = _name(error)
    if name in _DESCRIBED:
        what = _described(error.message.partition(": ")[2])
        return f"{name}: {what}" if what else name
    if name == PartitionsUnreadable.__name__ and (withheld := _WITHHELD.search(error.message)):
        return f"{name}: {withheld[0]}"
    if error.message.startswith(tuple(f"{package}." for package in _PACKAGES)):
        return name
    topic_partition = _place(error)
    return f"{name} in {topic_partition}" if topic_partition else name


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    """What our code raised: Dagster wraps it in errors of its own."""
    while (error.cls_name or "").startswith("Dagster") and error.cause is not None:
        error = error.cause
    return error


def _name(error: SerializableErrorInfo) -> str:
    name = error.cls_name or ""
    return name if _IDENTIFIER.fullmatch(name) else UNKNOWN


def _described(text: str) -> str | None:
    """What failed, of a text by `describe`: a name that stands in code, or nothing."""
    found = _DESCRIPTION.match(text)
    if found is None:
        return None
    if found["sqlstate"] is not None:
        return _of_sqlstate(found["sqlstate"])
    if text.startswith(("OperationalError: no answer", "InterfaceError: no answer")):
        return "connection"
    return found["name"] if found["name"] in _OURS else None


def _of_sqlstate(state: str) -> str | None:
    if state.startswith(("08", "57P")):
        return "connection"
    if state in _STATES:
        return _STATES[state]
    try:
        return psycopg.errors.lookup(state).__name__
    except KeyError:
        return None


def _place(error: SerializableErrorInfo) -> str | None:
    """The innermost module of ours."""
    modules = [module for frame in error.stack if (module := _module(frame))]
    return modules[-1] if modules else None


def _module(frame: str) -> str | None:
    found = _FRAME.search(frame)
    path = Path(found["path"]) if found else None
    if path is None or not path.is_relative_to(_FOLDER):
        return None
    parts = path.relative_to(_FOLDER).parts
    return ".".join(parts) if parts[0] in _PACKAGES else None
