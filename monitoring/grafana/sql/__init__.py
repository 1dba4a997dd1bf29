"""The queries of the dashboards, one a file, loaded by name, with Grafana's macros in them. No logic in Python here.

A macro's arguments hold no brackets: `$__timeFilter(day)`, never `$__timeFilter(f(day))`. `$__timeGroup` with a comma
right after it would name itself "time"; write `$__timeGroupAlias` where that is wanted.
"""

from resources.sql import loader

_load = loader(__name__)


def statement(name: str) -> str:
    """The text of `<name>.sql`."""
    return _load(name).decode().strip()
