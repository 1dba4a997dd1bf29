"""What every session with PostgreSQL is to be like, whatever role, database, server, URL or environment say.

What belongs here: one list of settings that Millrace's results or its going on depend on, and the statement that sets
them. What does not: connecting (`postgres`), settings of one piece of work (it sets them itself, beside its SQL).

They are set by a statement, after connecting: a pooler refuses `options` in the startup packet (PgBouncer does, unless
told otherwise). One statement in a transaction of its own, as the session may begin them serializable and deferrable.

Not in the list is what decides about nothing but speed and is the operator's (memory, costs, parallel workers), about
what the server logs of statements, or where it puts files. `default_transaction_read_only` is not in it either: it says
that this server takes no writes for now, and such a session is refused (docs/adr/0014-what-a-session-inherits.md).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from psycopg.conninfo import conninfo_to_dict

# What text, times and numbers are on their way, both ways.
_VALUES = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "timezone_abbreviations": "Default",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "xmlbinary": "base64",
    "xmloption": "content",
}
# What a statement means.
_MEANING = {
    "search_path": "pg_catalog, pg_temp",  # every name of ours has its schema; a temporary table shadows none
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "escape_string_warning": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",  # what is compared with pg_get_viewdef and regclass as text
    "row_security": "on",
    "check_function_bodies": "on",
    "default_table_access_method": "heap",
    "gin_fuzzy_search_limit": "0",
    "restrict_nonsystem_relation_kind": "",
    "createrole_self_grant": "",
    "password_encryption": "scram-sha-256",  # nosec B105  # pragma: allowlist secret
}
# What a transaction sees and how long anything may take: by itself nothing ends, who wants an end sets it.
_TRANSACTIONS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "exit_on_error": "off",
    "tcp_user_timeout": "0",
    # The statement of a client that is gone ends, instead of holding its locks until it is done.
    "client_connection_check_interval": "5s",
}
# What makes a plan that is linear quadratic, or a quick statement slow.
_PLANS = {
    "plan_cache_mode": "auto",
    "constraint_exclusion": "partition",
    "default_statistics_target": "100",
    "from_collapse_limit": "8",
    "join_collapse_limit": "8",
    "cursor_tuple_fraction": "0.1",
    "geqo": "on",
    "geqo_threshold": "12",
    "jit": "off",
    "debug_parallel_query": "off",
    "force_parallel_mode": "off",  # the same, before release 16
    **{
        f"enable_{what}": "on"
        for what in (
            *("bitmapscan", "hashagg", "hashjoin", "incremental_sort", "indexonlyscan", "indexscan", "material"),
            *("memoize", "mergejoin", "nestloop", "partition_pruning", "seqscan", "sort", "tidscan"),
        )
    },
}
# What the server would write into its log of values, and send back of it.
_LOGGED = {
    "client_min_messages": "notice",
    "log_parameter_max_length_on_error": "0",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
}
# For superusers to set. Where it differs and cannot be set the session is refused: these lose rows.
_PRIVILEGED = {"session_replication_role": "origin", "zero_damaged_pages": "off", "ignore_checksum_failure": "off"}

PINS: Mapping[str, str] = MappingProxyType({**_VALUES, **_MEANING, **_TRANSACTIONS, **_PLANS, **_LOGGED, **_PRIVILEGED})
# Whoever waits for standbys longer or shorter may go on; what is said to be committed is on a disk.
_ONLY_INSTEAD = {"synchronous_commit": ("on", "off")}

# https://www.postgresql.org/docs/18/libpq-connect.html: what stands here wins over the URL, and what stands in the URL
# or here over PGOPTIONS, PGCLIENTENCODING, PGHOSTADDR, PGTARGETSESSIONATTRS and a service file.
_CONNECTING = {"client_encoding": "UTF8", "target_session_attrs": "read-write"}
_KEPT_OF_THE_URL = ("options", "hostaddr")  # empty if it has none

# No name in it is looked up by the search path that was inherited.
_SET = """
begin isolation level read committed read only not deferrable;
select pg_catalog.set_config(name, value, false)
from (
    select name, value, instead, pg_catalog.current_setting(name, true) collate pg_catalog."C" as found
    from (values {values}) as listed (name, value, instead)
    offset 0
) as pins
where found operator(pg_catalog.<>) value and (instead is null or found operator(pg_catalog.=) instead);
commit
"""


def connecting(url: str) -> dict[str, Any]:
    """Parameters for libpq that go with a URL: a session that can write, in UTF-8, whatever the environment says."""
    return given(conninfo_to_dict(url))


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The same, for a URL that was taken apart already."""
    return {**_CONNECTING, **{name: parameters.get(name) or "" for name in _KEPT_OF_THE_URL}}


def pins(**own: str) -> str:
    """The statement that makes a session what it is to be, for the simple protocol; one round trip.

    Names that a server does not know are left out, and so is what is so already: some settings are for superusers.

    Args:
        own: other values of settings in the list, in the form in which `show` has them.
    """
    rows = [*((name, value, None) for name, value in {**PINS, **own}.items())]
    rows += [(name, value, instead) for name, (value, instead) in _ONLY_INSTEAD.items()]
    values = ", ".join(f"({', '.join(_literal(each) for each in row)})" for row in rows)
    return _SET.replace("{values}", values)


def _literal(value: str | None) -> str:
    return "null::pg_catalog.text" if value is None else "'" + value.replace("'", "''") + "'"
