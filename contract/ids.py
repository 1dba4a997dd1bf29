"""Event ids: how the text that a producer sends becomes the 16 bytes that identify the event.

What belongs here: the one rule about ids. What does not: whether an id was seen before (`assets.ingest`).
"""

import re
from binascii import unhexlify
from hashlib import sha1
from uuid import UUID

NAMESPACE = UUID("3b0633a5-3b1f-53ea-a428-a05384e456de")
"""The namespace of ids that are no UUIDs: `uuid5(NAMESPACE, eventId)`. Fixed for ever: stored ids follow from it.

It is `uuid5(uuid.NAMESPACE_DNS, "events.millrace")`.
"""

MAX_CHARACTERS = 200
_NAMESPACE_BYTES = NAMESPACE.bytes
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def uuid_bytes(text: str) -> bytes | None:
    """The bytes of a UUID written with hyphens or as 32 hexadecimal digits, in any case; None for any other text."""
    return unhexlify(text.replace("-", "")) if _UUID.fullmatch(text) else None


def is_name(text: str) -> bool:
    """Whether the text may be an id although it is no UUID: 1-200 characters, none of them a control (C0, DEL, C1).

    Spaces, any script and the line separators U+2028 and U+2029 are no control characters: the id is kept as it is.
    """
    return 0 < len(text) <= MAX_CHARACTERS and _CONTROL.search(text) is None


def name_bytes(text: str) -> bytes:
    """The bytes of `uuid5(NAMESPACE, text)`, without making the object."""
    digest = bytearray(sha1(_NAMESPACE_BYTES + text.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def quick(text: str) -> bytes | None:
    """The same as `uuid_bytes`, faster for the usual form; None only where `name_bytes` is right.

    Raises:
        ValueError: the text looks like a UUID and is none, or is no id at all; the exact functions say which.
    """
    if len(text) == 36 and text[8:24:5] == "----":
        found = unhexlify(text.replace("-", ""))
    else:
        found = uuid_bytes(text)
        if found is None and is_name(text):
            return None
    if found is None or len(found) != 16:
        raise ValueError(text)
    return found
