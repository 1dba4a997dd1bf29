"""JSON Schema (draft 2020-12) of whole events, one file a type, for producers in any language.

    python -m contract.schema schemas/

What belongs here: saying the contract in JSON Schema. What does not: rules of its own. A schema cannot say all that
the decoder knows: bounds are in characters where ours are in bytes, an address's format is an annotation that a
validator may ignore, and it sees neither repeated keys nor how long a number is.
"""

import json
import sys
from pathlib import Path
from typing import Any, cast

import msgspec

from contract.contract import Contract, EventType
from contract.identity import MAX_ID_CHARACTERS, TIMESTAMP_PATTERN
from contract.scalars import strict_end

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUFFIX = ".schema.json"
# Words of JSON Schema behind which there are values and no schemas.
_DATA = ("examples", "default", "const", "enum")


def schema_of(event_type: EventType) -> dict[str, Any]:
    """The schema of a whole event of this type, its envelope included."""
    (_,), components = msgspec.json.schema_components([event_type.struct], ref_template="#/$defs/{name}")
    payload = components.pop(event_type.struct.__name__)
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": f"urn:millrace:event:{event_type.name}",
        "title": event_type.name,
        "description": event_type.description,
        "type": "object",
        "properties": {
            "eventId": {
                "description": "A UUID, or any other text without control characters. One id, one event.",
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_ID_CHARACTERS,
                "not": {"pattern": "[\\u0000-\\u001f\\u007f-\\u009f]"},
            },
            "type": {"const": event_type.name},
            "timestamp": {
                "description": "When it happened: ISO 8601 with an offset, in the years 1 to 9999.",
                "type": "string",
                # In some languages $ would let a last line break through.
                "pattern": f"^(?:{TIMESTAMP_PATTERN})$(?!\\n)",
            },
            "payload": payload,
        },
        "required": ["eventId", "type", "timestamp", "payload"],
        "examples": [event_type.example()],
    }
    return _strict(schema | ({"$defs": components} if components else {}))


def _strict(part: Any, *, names: bool = False) -> Any:
    """The schema with patterns that let no last line break through, in whatever language they are read.

    Args:
        part: of the schema.
        names: whether the keys of `part` are names of fields, and not words of JSON Schema.
    """
    if isinstance(part, list):
        return [_strict(each) for each in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    made: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", part).items():
        if not names and key in _DATA:
            made[key] = value
        elif not names and key == "pattern":
            made[key] = strict_end(value)
        else:
            made[key] = _strict(value, names=not names and key in ("properties", "$defs"))
    return made


def render(event_type: EventType) -> str:
    """The schema as the text of its file."""
    return json.dumps(schema_of(event_type), indent=2, ensure_ascii=False) + "\n"


def write_schemas(directory: Path, contract: Contract | None = None) -> list[Path]:
    """Write the schema of every type, remove those of types that are gone, and return what was written."""
    written = {directory / f"{each.name}{SUFFIX}": render(each) for each in (contract or Contract()).values()}
    directory.mkdir(parents=True, exist_ok=True)
    for stale in set(directory.glob(f"*{SUFFIX}")) - written.keys():
        stale.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    return list(written)


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"))
