"""Records that were accounted for before, on their way into a transaction: as in a run, but Redis decides nothing.

What belongs here: what a replay and a redrive do alike around their transactions. What does not: the transactions.
A record that is stored may find its id claimed by a later copy of itself, and a claim made before the COMMIT would be
believed although nothing is stored yet, since the offset is committed. So Redis is only looked at beforehand, for where
to look; PostgreSQL decides; and the claims are made afterwards.
"""

import time
from collections.abc import Collection
from dataclasses import replace

from assets.ingest import frame, run
from assets.ingest.dedup import CommittedOffsets, deduplicate, read_claims
from assets.ingest.model import Decoded
from assets.ingest.store import Prepared
from assets.ingest.worker import Worker


def prepare(worker: Worker, decoded: Decoded) -> Prepared:
    """Ready to store."""
    run.read_claim_key(worker)
    asked = read_claims(worker.redis, decoded, run.window_ms(worker), worker.claim_key)
    claimed = replace(
        deduplicate(decoded, asked, lambda: CommittedOffsets({}, {})), rows=decoded.accepted, duplicates=[]
    )
    began = time.monotonic()
    built = frame.build(decoded, claimed)
    return Prepared(decoded, claimed, built, frame_seconds=time.monotonic() - began)


def claim(worker: Worker, decoded: Decoded, positions: Collection[int]) -> None:
    """After the COMMIT: claim the ids of those that are stored."""
    wanted = set(positions)
    there = [accepted for accepted in decoded.accepted if accepted.position in wanted]
    run.claim(worker, replace(decoded, accepted=there))
