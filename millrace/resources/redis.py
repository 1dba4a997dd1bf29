"""Redis as the memory of event ids: a client that never waits long, and a breaker that stops asking for a while.

What belongs here: the client, its time-outs, the breaker. What does not: what a claim means (`assets.ingest.claim`).
"""

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")

LOG = logging.getLogger(__name__)

# Redis answers in a millisecond; whatever takes longer than this costs more than it saves.
_TIMEOUT_SECONDS = 0.5
_PAUSE_SECONDS = 5.0


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
    return type(error).__name__
