"""The SQL of the aggregates, loaded by name. No logic in Python here."""

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> bytes:
    """The text of `<name>.sql`."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_bytes()
