"""Which batches of the ledger are folded into one. Pure.

What belongs here: cutting a sequence of batches into groups. What does not: reading and writing (`ledger_history`).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple


class LedgerBatch(NamedTuple):
    """A batch as the fold sees it; `backwards`: the log ended before what was committed."""

    batch_id: int
    committed_at: datetime
    closed: bool
    backwards: bool


class FoldGroup(NamedTuple):
    """Batches that become one: all from `first` to `last`."""

    first: int
    last: int
    batches: int


def groups(batches: Iterable[LedgerBatch], *, hourly: bool) -> list[FoldGroup]:
    """Cut consecutive batches into those that become one; what is folded already and stays as it is, is left out.

    The hour is that of the latest batch so far: a clock that was set back must not tear apart what is consecutive. A
    batch that went backwards stays by itself, since a range cannot tell a way that turns round.
    """
    found: list[FoldGroup] = []
    done: list[bool] = []
    latest, before = datetime.min.replace(tzinfo=UTC), None
    for batch in batches:
        hour = hour_of(max(latest, batch.committed_at))
        apart = before is None or before.backwards or batch.backwards or (hourly and hour != hour_of(latest))
        latest, before = max(latest, batch.committed_at), batch
        if apart:
            found.append(FoldGroup(batch.batch_id, batch.batch_id, 1))
            done.append(batch.closed)
        else:
            found[-1] = found[-1]._replace(last=batch.batch_id, batches=found[-1].batches + 1)
            done[-1] = False
    return [group for group, ready in zip(found, done, strict=True) if not ready]


def hour_of(at: datetime) -> datetime:
    """The start of the hour, UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
