"""Redis as the memory of event ids: a client that never waits long, and a breaker that stops asking for a while.

What belongs here: the client, its time-outs, the breaker, and whether a server takes writes, with the reason if not.
What does not: what a claim means (`assets.ingest.dedup`), and Celery's use of its Redis
(`orchestration.dagster_runtime`).
"""

import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")

LOG = logging.getLogger(f"millrace.{__name__}")

# Redis answers in a millisecond; whatever takes longer than this costs more than it saves.
_TIMEOUT_SECONDS = 0.5
_PAUSE_SECONDS = 5.0

# Where nothing else is kept: ids take 16 bytes after the prefix of the claims.
_PROBE = "mr:probe"
_PROBE_SECONDS = 60
# Redis's own words for why it takes no writes, and what is to be done about each.
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "OOM": "it is out of memory and evicts nothing (OOM): raise maxmemory, or make room",
        "READONLY": "it is a read-only replica (READONLY), after a failover perhaps: its URL must lead to the primary",
        "MISCONF": "it cannot save to its disk and therefore refuses writes (MISCONF): see its log and disk",
        "NOREPLICAS": "it has fewer replicas than it must have to take writes (NOREPLICAS)",
        "MASTERDOWN": "it is a replica whose primary is away (MASTERDOWN): its URL must lead to the primary",
        "LOADING": "it still loads its data (LOADING)",
        "NOAUTH": "it wants a login (NOAUTH): put user and password into its URL",
        "WRONGPASS": "it refuses the user or the password (WRONGPASS)",
        "NOPERM": "its user may not write (NOPERM): see its ACL",
        "CLUSTERDOWN": "its cluster is down (CLUSTERDOWN)",
        "MOVED": "it is one of a cluster (MOVED), which Millrace does not use",
    }
)
# Of some codes redis-py makes a class, and takes the code out of the text.
_CLASSES: Mapping[type[Exception], str] = MappingProxyType(
    {
        exceptions.OutOfMemoryError: "OOM",
        exceptions.ReadOnlyError: "READONLY",
        exceptions.BusyLoadingError: "LOADING",
        exceptions.NoPermissionError: "NOPERM",
        exceptions.AuthenticationError: "WRONGPASS",
        exceptions.MasterDownError: "MASTERDOWN",
        exceptions.ClusterDownError: "CLUSTERDOWN",
        exceptions.MovedError: "MOVED",
    }
)
_WORD = re.compile(rf"\b({'|'.join(_CODES)})\b")
# What a script says that does what its user may not.
_IN_SCRIPT = re.compile(r"ACL failure in script|can't (?:run this command|access at least one of the keys)")


class RedisUnavailable(Exception):
    """Redis is down, hung or refuses; the caller goes on without it."""


@dataclass
class Redis:
    """Where Redis is, one warm client, and when it may be asked again after it failed."""

    url: str = field(repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _client: "redis.Redis | None" = field(default=None, repr=False)
    _not_before: float = field(default=0.0, repr=False)
    _told: str = field(default="", repr=False)

    def call(self, work: Callable[[Any], T]) -> T:
        """Do `work` with the client; after a failure not at all for five seconds, so that a hung Redis costs little.

        Raises:
            RedisUnavailable: it failed, or failed a moment ago. A new cause is logged once: nobody else may tell of it.
        """
        if self.clock() < self._not_before:
            raise RedisUnavailable("Redis failed a moment ago")
        try:
            return work(self._connected())
        except redis.RedisError as error:
            self._not_before = self.clock() + _PAUSE_SECONDS
            self.close()
            why = _why(error)
            if why != self._told:
                self._told = why
                LOG.warning("Redis is not used for now: %s", why)
            raise RedisUnavailable(why) from None

    def _connected(self) -> "redis.Redis":
        if self._client is None:
            self._client = redis.Redis.from_url(
                self.url,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
                client_name="millrace",
                protocol=2,
            )
        return self._client

    def close(self) -> None:
        """Drop the client; the next call makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _why(error: redis.RedisError) -> str:
    """The kind of an error; of TLS what OpenSSL says. Never the server's own words, which may quote a command."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{type(error).__name__}: certificate: {cause.verify_message}"
    if cause is not None:
        return f"{type(error).__name__}: TLS: {cause.reason or 'the connection was ended'}"
    code = code_of(error)
    return f"{type(error).__name__}: {_CODES[code]}" if code else type(error).__name__


def code_of(error: BaseException) -> str | None:
    """Redis's word for why it refused, such as OOM; None for anything else."""
    found = getattr(error, "status_code", None)
    if found in _CODES:
        return str(found)
    text = str(error) if isinstance(error, redis.ResponseError) else ""
    if _IN_SCRIPT.search(text):
        return "NOPERM"
    word = _WORD.search(text)
    return word[1] if word else next((code for kind, code in _CLASSES.items() if isinstance(error, kind)), None)


def reason_of(error: BaseException) -> str:
    """Why a server that was to take a write did not, with what is to be done; never the words of a command."""
    code = code_of(error)
    return _CODES[code] if code else f"it does not answer ({type(error).__name__})"


def try_write(client: Any) -> None:
    """Write what is forgotten in a minute: a server that answers PING may refuse every write.

    Raises:
        redis.RedisError: it takes no writes, or does not answer.
    """
    client.set(_PROBE, b"1", ex=_PROBE_SECONDS)


def try_list_write(client: Any, key: str) -> None:
    """Put an entry on a list and take it off again, in one transaction that nobody sees.

    The same command on the same key as Celery uses to send a run, so that whatever would refuse it refuses this too.

    Raises:
        redis.RedisError: it takes no writes to this list, or does not answer.
    """
    client.pipeline(transaction=True).lpush(key, b"").lpop(key).execute()
