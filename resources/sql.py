"""SQL in files: a statement a file, loaded by name. What belongs here: the loading. What does not: any statement."""

from collections.abc import Callable
from functools import cache
from importlib import resources


def loader(package: str) -> Callable[[str], bytes]:
    """A function that loads `<name>.sql` of the package, each file once.

    Bytes, for psycopg takes text that is no literal as a mistake; PostgreSQL reads them as UTF-8.
    """

    @cache
    def statement(name: str) -> bytes:
        return resources.files(package).joinpath(f"{name}.sql").read_bytes()

    return statement
