"""The URL of a database, as SQLAlchemy wants it.

What belongs here: the one translation from libpq's URLs. What does not: engines (Dagster's pool, migrations), and
sessions themselves (`postgres`, which needs no SQLAlchemy).
"""

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import URL


def sqlalchemy_url(url: str, driver: str) -> URL:
    """A URL of libpq's, several hosts included, for SQLAlchemy, which reads other URLs than libpq does."""
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    parts = {name: given.pop(key, None) for name, key in (("username", "user"), ("database", "dbname"))}
    parts["password"] = given.pop("password", None)
    several = "," in given.get("host", "") or "/" in given.get("host", "")
    if not several:
        parts["host"] = given.pop("host", None)
        port = given.pop("port", None)
        return URL.create(f"postgresql+{driver}", **parts, port=int(port) if port else None, query=given)
    return URL.create(f"postgresql+{driver}", **parts, query=given)
