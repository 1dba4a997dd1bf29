"""The URL of a database, as SQLAlchemy wants it.

What belongs here: the one translation from libpq's URLs. What does not: engines (Dagster's pool, migrations), and
sessions themselves (`postgres`, which needs no SQLAlchemy).
"""

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import URL


def sqlalchemy_url(url: str, driver: str) -> URL:
    """A URL of libpq's, several hosts included, for SQLAlchemy, which reads other URLs than libpq does."""
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    user, password, database = (given.pop(name, None) for name in ("user", "password", "dbname"))
    host, port = given.pop("host", None), given.pop("port", None)
    if "," in (host or "") or "/" in (host or ""):  # several, or a folder: what no authority of a URL can hold
        given |= {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        host = port = None
    return URL.create(
        f"postgresql+{driver}", user, password, host, int(port) if port else None, database=database, query=given
    )
