"""How deep a document nests, told before anything that uses a stack reads it.

What belongs here: the scan. What does not: whether the document is well-formed (`document`).
"""

import re
from itertools import accumulate

from contract.model import MAX_DEPTH

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = [1 if byte in b"[{" else -1 for byte in range(256)]


def too_deep(value: bytes) -> bool:
    """Whether brackets outside strings nest deeper than `MAX_DEPTH`. Needs no stack, and no well-formed document."""
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _STRINGS.sub(b"", value).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH
