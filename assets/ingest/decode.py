"""Decodes a chunk: every record becomes an event, a refusal or a tombstone.

What belongs here: the loop over records. What does not: what makes a valid event (`contract.decode`).
"""

import time

from assets.ingest.model import Accepted, Chunk, Decoded, RejectedRecord
from contract.decode import Decoder, Event


def decode(decoder: Decoder, chunk: Chunk) -> Decoded:
    """Decode every record of a chunk. Never raises, whatever the bytes."""
    began = time.monotonic()
    now = time.time_ns() // 1000
    accepted: list[Accepted] = []
    refused: list[RejectedRecord] = []
    tombstones: list[int] = []
    decode_value = decoder.decode
    for position, record in enumerate(chunk.records):
        value = record.value()
        if value is None:
            tombstones.append(position)
            continue
        found = decode_value(value, now)
        if isinstance(found, Event):
            accepted.append(Accepted(position, found))
        else:
            refused.append(RejectedRecord(position, found.code, found.reason))
    return Decoded(chunk, accepted, refused, tombstones, decode_seconds=time.monotonic() - began)
