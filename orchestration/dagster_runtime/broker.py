"""Celery as Millrace uses it: a Redis list a queue, short time-outs, no results.

What belongs here: what those who send runs and those who execute them must agree on. What does not: what a message may
be (`broker_messages`), the worker (`worker`) and Dagster's side of a launch (`launcher`).

There is no result backend. A result can be flushed, and then a healthy run looks lost; it says "started" for ever when
a whole worker was killed; and Celery subscribes to a channel for each result and keeps it. The workers themselves know
what they are doing, so they are asked (`run_tracker`).
"""

import json
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.transport import redis as redis_transport
from redis.exceptions import RedisError, ResponseError
from typing_extensions import override

from orchestration.dagster_runtime import broker_messages

logger = logging.getLogger("millrace.broker")
DEFAULT_QUEUE = "default"
# Kombu reads JSON before it delivers: the connection is made anew, and a worker goes on behind it.
_NO_JSON = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)
# What a client raises when the broker is away, hangs, is full or still loads its file.
ERRORS = (OSError, OperationalError, RedisError)

# A broker that accepts and never answers costs a launch this long, and no more than twice.
_ANSWER_SECONDS = 2.0
# kombu's own back-off grows to 30 s; workers should be back within seconds of the broker.
_RECONNECT_SECONDS = 2

_TRANSPORT: Mapping[str, Any] = {
    "socket_timeout": _ANSWER_SECONDS,
    "socket_connect_timeout": _ANSWER_SECONDS,
    "socket_keepalive": True,
    "health_check_interval": 5,  # a half-open connection is noticed after this and a bit
    # Opening a connection to send something: one more try, no more.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
    # A message is acknowledged when a child accepts it, so only a worker that was killed in between leaves one here.
    "visibility_timeout": 120,
    # One list a queue: `run_tracker` reads it, and Dagster has no priorities that we use.
    "priority_steps": [0],
}

_OPTIONS: Mapping[str, Any] = {
    "result_backend": None,
    "task_ignore_result": True,
    "task_default_queue": DEFAULT_QUEUE,
    "task_acks_late": False,  # a run that was half done must not be started again by the broker
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1},
    "broker_transport_options": dict(_TRANSPORT),
    "broker_connection_timeout": 2 * _ANSWER_SECONDS,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_disable_prefetch": True,  # else a run waits behind a long one while the other child idles
    "worker_prefetch_multiplier": 1,
    "worker_enable_prefetch_count_reduction": False,
    "worker_cancel_long_running_tasks_on_connection_loss": True,  # of no effect without late acks; False warns
    "worker_max_tasks_per_child": 4000,
    "worker_proc_alive_timeout": 60.0,  # a new child warms up first; the default of 4 s kills it meanwhile
    "worker_redirect_stdouts": False,
    "worker_hijack_root_logger": False,
}


@cache
def _dropping(transport: type) -> type:
    """A transport on which a refusal costs the connection, as a lost one does.

    After a failover a connection still leads to what is now a read-only replica. Stock keeps it, and a worker ends on
    the refusal, with the runs that it has at work; ours connects anew, until the URL leads to a server that takes it.
    """
    errors: Any = getattr(transport, "connection_errors", ())
    changed = {"connection_errors": (*errors, ResponseError, *_NO_JSON), "_deliver": _deliver_what_is_ours(transport)}
    return type(transport.__name__, (transport,), changed)


def _deliver_what_is_ours(transport: Any) -> Callable[[Any, object, str], None]:
    """Kombu's own method, before which everything is left out that Millrace does not send."""

    def deliver(carrier: Any, message: object, queue: str) -> None:
        found = broker_messages.admitted(message, queue)
        if found is None:
            logger.warning("a message of the broker is none of Millrace's, and is left out")
        else:
            transport._deliver(carrier, found, queue)  # noqa: SLF001 - it is what is replaced

    return deliver


class _PatientConnection(Connection):
    """A connection that waits the same short time between all its attempts, and is given up when it is refused."""

    @override
    def get_transport_cls(self) -> Any:
        transport: Any = super().get_transport_cls()
        return _dropping(transport) if issubclass(transport, redis_transport.Transport) else transport

    @override
    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        steady = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": _RECONNECT_SECONDS}
        return super().ensure_connection(*args, **{**steady, **kwargs})


class PatientAMQP(AMQP):
    """Celery's messaging on `_PatientConnection`."""

    Connection = _PatientConnection


def options(broker_url: str) -> dict[str, Any]:
    """Celery's settings for a broker."""
    return {**_OPTIONS, "broker_url": _verifying(broker_url)}


def client(broker_url: str) -> Celery:
    """An app to send runs with; its connections are made when they are needed."""
    return Celery("millrace", amqp=PatientAMQP, config_source=options(broker_url), set_as_current=False)


def _verifying(url: str) -> str:
    """Kombu takes `rediss://` alone for TLS without a check of the certificate; ours checks unless told otherwise."""
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
