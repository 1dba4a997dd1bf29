"""The vocabulary in which the structs of `types` are written: kinds of fields with their bounds and an example.

What belongs here: what several types share. What does not: the types themselves, and the checking (`checks`,
`decoder`), which reads all of this from the annotations.

Text is bounded in bytes of UTF-8 so that any index entry fits (a btree entry over 2,704 bytes fails). msgspec and
JSON Schema count characters, of which there are never more than bytes: `max_length` says the same number to them,
and `extra` says the exact rule to us.
"""

from typing import Annotated, Any

from msgspec import Meta, UnsetType

MAX_BYTES = "max_bytes"
FORMAT = "format"
IP_ADDRESS = "ip-address"


def text(description: str, example: str, *, max_bytes: int, empty: bool = False) -> Meta:
    """Text of at most so many bytes of UTF-8; `empty` says whether it may be empty."""
    return Meta(
        min_length=0 if empty else 1,
        max_length=max_bytes,
        description=f"{description} At most {max_bytes} bytes of UTF-8.",
        examples=[example],
        extra={MAX_BYTES: max_bytes},
    )


UserId = Annotated[str, text("Who did it.", "u123", max_bytes=200)]
Page = Annotated[str, text("The page, as a path or URL.", "/products/42?ref=home", max_bytes=2000)]
ButtonId = Annotated[str, text("Which button.", "add-to-cart", max_bytes=200)]
FormId = Annotated[str, text("Which form.", "signup", max_bytes=200)]
Duration = Annotated[float, Meta(ge=0, description="How long, in seconds.", examples=[1843.5])]
IpAddress = Annotated[
    str,
    Meta(
        description="The client's IPv4 or IPv6 address, without zone id.",
        examples=["203.0.113.45"],
        extra={FORMAT: IP_ADDRESS},
        extra_json_schema={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    ),
]
FormFields = Annotated[
    dict[str, Any],
    Meta(description="What was filled in: any JSON.", examples=[{"email": "ann@example.org", "newsletter": True}]),
]

# These may be empty, null or missing: direct traffic has no referrer, and not every client says what it is.
Referrer = (
    Annotated[str, text("Where the user came from.", "https://search.example/?q=shoes", max_bytes=2000, empty=True)]
    | None
    | UnsetType
)
Device = Annotated[str, text("The client.", "Chrome on macOS", max_bytes=200, empty=True)] | None | UnsetType
