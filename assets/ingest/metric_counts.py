"""Maps the result of a transaction to the totals behind the metrics. Pure: it counts, others write.

What belongs here: what counts as what. What does not: the adding (`monitoring.metrics.totals`) and when (`store`).

Totals say what happened, so they only grow; the ledger says what is, so it takes back. At rest, T being a total, L the
ledger's sum and R the rows that there are:

* T stored by type = R raw.events by type, plus those that an erasure, the retention or somebody's hand took away.
* T dead_letter = T rejections of all codes = R raw.dead_letters, plus those that an erasure or the folding of old
batches
  deleted. A dead letter that is refused again is no new one, whatever its code is by then.
* T duplicate = T duplicates of both sources = L duplicates; T tombstone, erased, expired = L of the same name. All four
  hold until a replay finds that a record is something else by now than what it was recorded as (a duplicate of a user
  who was erased, say): then T is L plus what L took back.
* Without redrives, replays that change something, erasures and retention the outcomes sum up to the ledger's records.
  A dead letter that is redriven, an event that is erased, counts once more, under its new outcome.
* Batches committed: transactions of kind `ingest`. A replay commits nothing that was not committed: it is none, and
  has no latency. One that finds everything as it was adds nothing at all, but its retries.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from assets.ingest.dead_letter_history import AttemptEntry
from assets.ingest.model import Counts, Decoded, Deduplicated, Gap, Outcome
from monitoring.metrics.names import NONE
from monitoring.metrics.totals import Totals


class NewRows(NamedTuple):
    """What a transaction wrote that was not there before: events by type, dead letters by code."""

    events: Mapping[str, int]
    dead_letters: Mapping[str, int]


def count_new_rows(wrote: NewRows, retried: Iterable[str]) -> Totals:
    """What every transaction counts that stores: its rows, and why it was tried again."""
    totals = retries(retried)
    for kind, number in wrote.events.items():
        totals.count("millrace_events_total", "stored", kind, by=number)
    for code, number in wrote.dead_letters.items():
        totals.count("millrace_rejections_total", code, by=number)
        totals.count("millrace_events_total", "dead_letter", NONE, by=number)
    return totals


def ingested(
    decoded: Decoded,
    claimed: Deduplicated,
    outcome: Outcome,
    seconds: Mapping[str, float],
    waited: "np.ndarray[Any, Any]",
    gaps: Iterable[Gap],
) -> Totals:
    """What a chunk counts beside what it wrote.

    Args:
        decoded: the chunk as it was decoded, with the events that the rules keep out.
        claimed: what was known to be duplicates before PostgreSQL was asked.
        outcome: what became of the rest.
        seconds: by step.
        waited: of each record, seconds since its Kafka timestamp.
        gaps: those that were recorded with it.
    """
    totals = Totals()
    totals.count("millrace_batches_total", "committed")
    totals.count("millrace_events_total", "tombstone", NONE, by=len(decoded.tombstones))
    _events(totals, decoded, "duplicate", [*claimed.duplicates, *outcome.duplicates])
    _events(totals, decoded, "erased", outcome.erased)
    _events(totals, decoded, "expired", outcome.expired)
    totals.count("millrace_duplicates_total", "redis", by=len(claimed.duplicates))
    totals.count("millrace_duplicates_total", "postgres", by=len(outcome.duplicates))
    for step, took in seconds.items():
        totals.observe("millrace_batch_seconds", [took], step)
    totals.observe("millrace_end_to_end_seconds", waited)
    totals.add(lost(gaps))
    return totals


def lost(gaps: Iterable[Gap]) -> Totals:
    """Losses at the source."""
    totals = Totals()
    for gap in gaps:
        totals.count("millrace_gaps_total", gap.reason)
        totals.count("millrace_gap_offsets_total", by=0 if gap.end is None else gap.end - gap.start)
    return totals


def replayed(
    decoded: Decoded, claimed: Deduplicated, outcome: Outcome, difference: Counts, dead_letters: Collection[int]
) -> Totals:
    """What a replay counts beside what it wrote: of each outcome as many as the ledger lacked.

    The ledger says how many, not which. Records whose dead letters were open are taken to be the new ones, then the
    first.

    Args:
        decoded: the chunk, with the events that the rules keep out.
        claimed: what was known to be duplicates before PostgreSQL was asked.
        outcome: what became of the rest.
        difference: to what the ledger says.
        dead_letters: positions of records that were open dead letters.
    """
    totals = Totals()
    news = {
        "duplicate": ([*claimed.duplicates, *outcome.duplicates], difference.duplicates),
        "erased": (outcome.erased, difference.erased),
        "expired": (outcome.expired, difference.expired),
    }
    for name, (positions, number) in news.items():
        ordered = sorted(positions, key=lambda position: (position not in dead_letters, position))
        _events(totals, decoded, name, ordered[: max(0, number)])
    # The ledger keeps no source of duplicates by range: a replay records them all as PostgreSQL's.
    totals.count("millrace_duplicates_total", "postgres", by=difference.duplicates)
    return totals


def redriven(decoded: Decoded, became: Mapping[int, AttemptEntry]) -> Totals:
    """What a redrive counts beside what it wrote: each dead letter that was tried, by what became of it."""
    totals, positions = Totals(), dict[str, list[int]]()
    for position, entry in became.items():
        positions.setdefault(entry.outcome, []).append(position)
    for result, tried in positions.items():
        totals.count("millrace_redrives_total", result, by=len(tried))
    for name in ("duplicate", "erased", "expired"):
        _events(totals, decoded, name, positions.get(name, []))
    totals.count("millrace_duplicates_total", "postgres", by=len(positions.get("duplicate", [])))
    return totals


def taken_away(becomes: str, types: Mapping[str, int], dead_letters: int = 0) -> Totals:
    """What was deleted: events by type, and dead letters, which have none."""
    totals = Totals()
    for kind, number in types.items():
        totals.count("millrace_events_total", becomes, kind, by=number)
    totals.count("millrace_events_total", becomes, NONE, by=dead_letters)
    return totals


def retries(kinds: Iterable[str]) -> Totals:
    """Why a transaction was tried again, each time."""
    totals = Totals()
    for kind in kinds:
        totals.count("millrace_retries_total", kind)
    return totals


def _events(totals: Totals, decoded: Decoded, outcome: str, positions: Collection[int]) -> None:
    """Count records by the type of their event; those that are no event have none."""
    if not positions:
        return
    wanted = set(positions)
    accepted = decoded.accepted  # in the order of positions, and few of them are asked for
    found = ((position, bisect_left(accepted, (position,))) for position in wanted)
    types = Counter(
        accepted[at].event.type for position, at in found if at < len(accepted) and accepted[at].position == position
    )
    for kind, number in types.items():
        totals.count("millrace_events_total", outcome, kind, by=number)
    totals.count("millrace_events_total", outcome, NONE, by=len(wanted) - types.total())
