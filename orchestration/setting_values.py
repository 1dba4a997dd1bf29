"""How the values of settings are written: durations, URLs, lists, JSON objects, and what is said of wrong ones.

What belongs here: a check or a type of one value. What does not: which settings there are, and what they mean
(`settings`).
"""

import json
import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> object:
    """Turn `90s`, `15m`, `1h`, `7d`, `250ms` or a plain number of seconds into a timedelta.

    Raises:
        ValueError: the text is not a duration; the message says what one looks like.
    """
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", str(value))
    if match is None:
        raise ValueError("expected a duration such as 500ms, 30s, 15m, 1h or 7d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])


def url(*schemes: str) -> BeforeValidator:
    """A URL with one of these schemes and a host."""

    def check(value: object) -> object:
        text = str(value).strip()
        if urlsplit(text).scheme not in schemes or not urlsplit(text).hostname:
            raise ValueError(
                f"expected a URL that begins with {' or '.join(s + '://' for s in schemes)} and names a host"
            )
        return text

    return BeforeValidator(check)


def topics(value: object) -> object:
    """Names of topics, separated by commas, that Dagster can tell apart."""
    if not isinstance(value, str):
        return value
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    bad = [name for name in names if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name)]
    if bad or not names:
        raise ValueError("expected topic names separated by commas (letters, digits, '.', '_', '-')")
    if dots := {".", ".."} & set(names):
        raise ValueError(f"{min(dots)} is no name of a topic")
    _told_apart(names)
    return names


def _told_apart(names: tuple[str, ...]) -> None:
    """Dagster knows a topic by its name with '_' for '.' and '-'; Kafka's own metrics confuse such names too."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(re.sub(r"[.-]", "_", name), name)
        if other == name and names.count(name) > 1:
            raise ValueError(f"{name} is there twice")
        if other != name:
            raise ValueError(f"{other} and {name} differ in '.', '-' and '_' only and cannot be distinguished")


def owners(value: object) -> object:
    """Teams and e-mail addresses, separated by commas."""
    if not isinstance(value, str):
        return value
    owners = tuple(owner.strip() for owner in value.split(",") if owner.strip())
    if not owners or not all(
        re.fullmatch(r"team:[A-Za-z0-9_]+|[^@\s:]+@[^@\s:]+\.[^@\s:]+", owner) for owner in owners
    ):
        raise ValueError("expected team:<name> (letters, digits, '_') or e-mail addresses, separated by commas")
    return owners


def hosts(value: object) -> object:
    """Names or addresses without a port, separated by commas."""
    if not isinstance(value, str):
        return value
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names or not all(map(_is_host, names)):
        raise ValueError("expected names of hosts or addresses, without a port and without '*', separated by commas")
    return names


def _is_host(text: str) -> bool:
    if ":" not in text:
        return re.fullmatch(r"[A-Za-z0-9._-]{1,253}", text) is not None
    try:
        return bool(IPv6Address(text[1:-1] if text[0] + text[-1] == "[]" else text))
    except ValueError:
        return False


def options(value: object) -> object:
    """Properties of librdkafka, as a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value or "{}", object_pairs_hook=_once_each)
    except (_Twice, RecursionError, ValueError) as error:
        said = str(error) if isinstance(error, _Twice) else "expected a JSON object of librdkafka properties"
        raise ValueError(said) from None
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object of librdkafka properties")  # noqa: TRY004 - pydantic wants ValueError
    if bad := [name for name, value in found.items() if value is None or isinstance(value, list | dict)]:
        raise ValueError(f"{bad[0]} is no text, number or boolean")
    given = {str(k): v if isinstance(v, str) else json.dumps(v) for k, v in found.items()}
    if given:
        # Kafka's client takes a while to import, which who sets none need not pay for.
        from resources.kafka_options import check

        check(given)
    return given


def funnel_file(path: Path) -> Path:
    """A file of the funnel's steps. Read here as well, so that a wrong one is said before anything starts."""
    from assets.aggregates.funnel_file import FunnelError, read

    try:
        read(path)
    except FunnelError as error:
        raise ValueError(str(error)) from None
    return path


class _Twice(ValueError):
    """A name stands twice in a JSON object: which of the two is meant, nobody can tell."""


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(f"{next(name for name in names if names.count(name) > 1)} is there twice")
    return found


def moment(value: object) -> object:
    """A date, a time with an offset, or `off`."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() == "off":
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or (found.tzinfo is None and len(text) > len("2000-01-01")):
        raise ValueError("expected a date such as 2000-01-01, a time with an offset (2000-01-01T00:00:00Z), or off")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def host_and_port(value: str) -> str:
    """One host:port."""
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):\d{1,5}", value):
        raise ValueError("expected host:port")
    return value


def bootstrap_servers(value: object) -> object:
    """One host:port or several, separated by commas."""
    text = str(value).strip()
    if not all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):\d{1,5}", part.strip()) for part in text.split(",")):
        raise ValueError("expected host:port, several separated by commas")
    return text


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
PostgresUrl = Annotated[str, url("postgresql", "postgres")]
RedisUrl = Annotated[str, url("redis", "rediss")]
# May carry a password or a token, and is asked for by nobody who shows it.
SecretUrl = Annotated[SecretStr, url("http", "https")]
