"""Settings that a session may inherit and that would break what Millrace does, and the ways in which it inherits them.

What belongs here: a value for each setting of `resources.session`. What does not: what is done in such a session.
"""

from collections.abc import Mapping
from typing import Any, LiteralString, cast
from urllib.parse import quote

import psycopg
from psycopg import sql

from resources.session import PINS
from tests.support.world import World

_BOOLEANS = {"on": "off", "off": "on"}
_OTHERS = {
    "client_encoding": "LATIN1",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Pacific/Chatham",
    "timezone_abbreviations": "India",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "lc_monetary": "C.UTF-8",
    "lc_numeric": "C.UTF-8",
    "lc_time": "C.UTF-8",
    "xmlbinary": "hex",
    "xmloption": "document",
    "search_path": "hostile, pg_catalog",
    "backslash_quote": "off",
    "default_table_access_method": "heap",  # there is no other
    "gin_fuzzy_search_limit": "1",
    "restrict_nonsystem_relation_kind": "view",
    "createrole_self_grant": "set",
    "password_encryption": "md5",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "1s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "1s",
    "idle_session_timeout": "1s",
    "transaction_timeout": "3s",
    "tcp_user_timeout": "0",  # other values close connections of the test itself
    "client_connection_check_interval": "0",
    "plan_cache_mode": "force_generic_plan",
    "constraint_exclusion": "off",
    "default_statistics_target": "1",
    "from_collapse_limit": "1",
    "join_collapse_limit": "1",
    "cursor_tuple_fraction": "1",
    "geqo_threshold": "2",
    "client_min_messages": "error",
    "log_parameter_max_length_on_error": "-1",
    "session_replication_role": "replica",
    "synchronous_commit": "off",
}
# A value of its own for every setting that the list has and this server knows.
HOSTILE: Mapping[str, str] = {
    name: _OTHERS.get(name) or _BOOLEANS[value] for name, value in {**PINS, "synchronous_commit": "on"}.items()
}


def known(world: World) -> dict[str, str]:
    """Those that the server knows; a name of another release is refused when it is given."""
    names = {name for (name,) in world.query("select name from pg_settings")}
    return {name: value for name, value in HOSTILE.items() if name in names}


def by_database(world: World, values: Mapping[str, str]) -> None:
    """ALTER DATABASE."""
    _alter(world, sql.SQL("alter database {} ").format(sql.Identifier(_database(world))), values)


def by_role(world: World, values: Mapping[str, str]) -> None:
    """ALTER ROLE, in this database only: the tests have the role in common."""
    role = sql.Identifier(world.one("select current_user"))
    which = sql.SQL("alter role {} in database {} ").format(role, sql.Identifier(_database(world)))
    _alter(world, which, values)


def by_environment(_: World, values: Mapping[str, str]) -> dict[str, str]:
    """PG* variables."""
    return {
        "PGOPTIONS": options(values),
        "PGCLIENTENCODING": values["client_encoding"],
        "PGDATESTYLE": values["DateStyle"],
        "PGTZ": values["TimeZone"],
        "PGGEQO": "off",
        "PGHOSTADDR": "192.0.2.1",
        "PGTARGETSESSIONATTRS": "standby",
    }


def in_the_url(url: str, values: Mapping[str, str]) -> str:
    """The URL with `options` and `client_encoding`."""
    encoding = quote(values["client_encoding"])
    return f"{url}?options={quote(options(values))}&client_encoding={encoding}&target_session_attrs=any"


def options(values: Mapping[str, str]) -> str:
    """As the startup packet has them; spaces are escaped."""
    return " ".join("-c " + f"{name}={value}".replace(" ", "\\ ") for name, value in values.items())


def _alter(world: World, which: sql.Composed, values: Mapping[str, str]) -> None:
    # One session for all of them: the next one would have them already.
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as connection:
        for name, value in values.items():
            given: Any = sql.SQL(cast("LiteralString", value)) if name == "search_path" else sql.Literal(value)
            connection.execute(which + sql.SQL("set {} = {}").format(sql.Identifier(name.lower()), given))


def _database(world: World) -> str:
    return str(world.one("select current_database()"))
