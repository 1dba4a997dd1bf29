"""What strangers send, made up by chance: every value gets an event or a refusal, and nothing else happens.

    python -m tests.contract.fuzz --seconds 60

What belongs here: values, made of the hostile corpus by small changes, what must hold for each, and the run. What does
not: what is made of several values (`fuzz_records`), which code a value has (`test_hostile`), whole events
(`test_agreement`). A seed makes the same values each time, and a value that is a fault is printed so that it can be put
into `cases`.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from random import Random

from contract.decoder import Event, Rejection, RejectionCode
from tests.contract import fuzz_records
from tests.contract.cases import CASES, SIMPLE
from tests.contract.making import DECODER, NOW_US

_LARGEST = 20_000
_IN_A_FILE = 5
_PIECES = (
    b"\x00", b"\xff", b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":",
    b"1e400", b"-0", b"1e-999999999", b"9" * 400, b"NaN", b"null", b"true", b"[" * 70, b'{"a":' * 70, b"\xef\xbb\xbf",
    b'"userId":', b'"eventId":7,', b'"timestamp":"2025-05-18T24:00:00Z",', b'"payload":{},', b"\xe2\x80\xae", b"\r\n",
)  # fmt: skip


def seeds() -> list[bytes]:
    """The hostile corpus and a good event."""
    found = [SIMPLE.encode(), *(v if isinstance(v, bytes) else v.encode() for case in CASES.values() for v in case)]
    return [value for value in found if len(value) <= _LARGEST]


def values(rng: Random) -> Iterator[bytes]:
    """Values without end, half of them near a good event."""
    corpus = seeds()
    while True:
        value = corpus[0] if rng.random() < 0.5 else rng.choice(corpus)
        for _ in range(rng.randint(1, 6)):
            value = _changed(value, rng, corpus)[:_LARGEST]
        yield value


def _changed(value: bytes, rng: Random, corpus: list[bytes]) -> bytes:
    start, end = sorted(rng.randint(0, len(value)) for _ in range(2))
    end = min(end, start + rng.randint(0, 12))
    kind = rng.randrange(5)
    if kind == 0:
        return value[:start] + value[end:]
    if kind == 1:
        return value[:start] + rng.choice(_PIECES) + value[end:]
    if kind == 2:
        return value[:start] + rng.randbytes(end - start) + value[end:]
    if kind == 3:
        return value[:start] + value[start:end] * rng.randint(2, 5) + value[end:]
    other = rng.choice(corpus)
    cut = rng.randint(0, len(other))
    return value[:start] + other[cut : cut + rng.randint(1, 200)] + value[end:]


def fault_of(value: bytes) -> str | None:
    """What is wrong with how a value is decided; None if nothing is."""
    try:
        found, again = DECODER.decode(value, NOW_US), DECODER.decode(value, NOW_US)
    except BaseException as error:  # noqa: BLE001 - a decoder that raises anything is what is looked for
        return f"it raised {type(error).__name__}"
    if found != again:
        return "it is decided in two ways"
    if isinstance(found, Event):
        return None if len(found.event_id) == 16 else "its id has not 16 bytes"
    return _fault_of_refusal(found)


def _fault_of_refusal(found: Rejection) -> str | None:
    if found.code not in set(RejectionCode):
        return "its code is none of ours"
    if not found.reason.isprintable() or len(found.reason) > 500:
        return "its reason has control characters, or more than 500"
    return None


def run(seed: int, *, examples: int | None = None, seconds: float | None = None) -> tuple[int, list[str]]:
    """Try values until there are enough or the time is over; how many there were, and what was wrong."""
    until = None if seconds is None else time.monotonic() + seconds
    tried, faults = 0, list[str]()
    rng, recent = Random(seed), list[bytes]()
    for value in values(Random(seed)):
        if tried == examples or (until is not None and time.monotonic() > until) or len(faults) > 20:
            break
        tried += 1
        fault = fault_of(value)
        if fault is not None:
            faults.append(f"{fault}: {value!r}")
        recent.append(value)
        if len(recent) == _IN_A_FILE:
            faults += filter(None, (check(recent, rng) for check in fuzz_records.CHECKS))
            recent.clear()
    return tried, faults


def main(arguments: list[str] | None = None) -> int:
    """Print what was found; 1 if something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    asked = parser.parse_args(arguments)
    tried, faults = run(asked.seed, seconds=asked.seconds)
    print(f"seed {asked.seed}: {tried} values, {len(faults)} faults", *faults, sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
