"""The SQL of the views and of the analysts' rights, loaded by name. No logic in Python here."""

from resources.sql import loader

_load = loader(__name__)


def statement(name: str) -> str:
    """The text of `<name>.sql`."""
    return _load(name).decode()
