"""Whether a process of Millrace does its work, asked from beside it: what health checks of containers call.

What belongs here: one question a role, each bounded in time. What does not: the command (`cli.health`). Nothing here
imports Dagster or the settings: it is asked every few seconds, and those imports would cost more than all the rest.
"""

import http.client
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

ANSWER_SECONDS = 4.0
# Dagster writes a heartbeat every 30 s.
_OLDEST_BEAT = timedelta(seconds=60)
# grpc.health.v1.HealthCheckRequest(service="DagsterApi") and a response that says SERVING, as they travel.
_ASK, _SERVING = b"\x0a\x0aDagsterApi", b"\x08\x01"


class UnhealthyError(Exception):
    """It does not do its work; the text says what was seen, and holds no secret."""


def ask_webserver(port: int, host: str = "127.0.0.1") -> str:
    """What the web server said.

    Raises:
        UnhealthyError: it does not answer.
    """
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/server_info")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise UnhealthyError(f"/server_info at {host}:{port}: {error}") from None
    finally:
        connection.close()
    if status != http.client.OK:
        raise UnhealthyError(f"/server_info at {host}:{port}: HTTP {status}")
    return "/server_info answers"


def ask_code_server(port: int, host: str = "127.0.0.1") -> str:
    """What the code server said; it serves once it has loaded the code.

    Raises:
        UnhealthyError: it does not answer, or does not serve.
    """
    import grpc

    with grpc.insecure_channel(f"{host}:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer: bytes = channel.unary_unary("/grpc.health.v1.Health/Check")(_ASK, timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            raise UnhealthyError(f"gRPC health at {host}:{port}: {_code(error)}") from None
    if answer != _SERVING:
        raise UnhealthyError(f"gRPC health at {host}:{port}: it does not serve")
    return "gRPC health answers"


def _code(error: Exception) -> str:
    code = getattr(error, "code", None)
    return str(code().name) if callable(code) else type(error).__name__  # pyright: ignore[reportAttributeAccessIssue]


def last_beat(postgres_url: str) -> datetime | None:
    """When the sensor daemon last showed a sign of life; None before it ever did.

    Raises:
        UnhealthyError: Dagster's tables cannot be asked, or are not there yet.
    """
    import psycopg

    from orchestration.dagster_runtime.sql import statement
    from resources.postgres import Postgres

    database = Postgres(postgres_url)
    try:
        with database.connect(
            "millrace-health", statement_timeout_seconds=ANSWER_SECONDS, connect_timeout_seconds=2
        ) as connection:
            row = connection.execute(statement("sensor_beats")).fetchone()
    except psycopg.Error as error:
        raise UnhealthyError(f"the heartbeats in PostgreSQL: {type(error).__name__} {error.sqlstate or ''}") from None
    return row[0] if row else None


def ask_daemon(postgres_url: str, now: datetime | None = None) -> str:
    """How old the sensor daemon's last sign of life is.

    Raises:
        UnhealthyError: older than a minute, none, or PostgreSQL cannot be asked.
    """
    beat = last_beat(postgres_url)
    if beat is None:
        raise UnhealthyError("the sensor daemon has not shown a sign of life yet")
    age = (now or datetime.now(UTC)) - beat
    said = f"the sensor daemon's last heartbeat is {age.total_seconds():.0f} s old"
    if age > _OLDEST_BEAT:
        raise UnhealthyError(said)
    return said


def ask_worker(broker_url: str, queue: str) -> str:
    """What the worker of a queue on this host said, by way of the broker.

    Raises:
        UnhealthyError: it does not answer, or the broker does not.
    """
    from orchestration.dagster_runtime import broker
    from resources.redis import reason_of, try_list_write

    name = f"{queue}@{socket.gethostname()}"
    app = broker.client(broker_url)
    try:
        with app.connection_for_write() as connection:
            channel: Any = connection.default_channel
            try_list_write(channel.client, queue)  # without writes it cannot answer, and would be blamed for it
            answers = app.control.ping(destination=[name], timeout=ANSWER_SECONDS, connection=connection)
    except broker.ERRORS as error:
        raise UnhealthyError(f"the broker cannot be asked: {reason_of(error)}") from None
    if not answers:
        raise UnhealthyError(f"{name} does not answer within {ANSWER_SECONDS:.0f} s")
    return f"{name} answers"


def required(environment: Mapping[str, str], name: str) -> str:
    """The value of a variable that a question needs.

    Raises:
        UnhealthyError: it is not set.
    """
    if value := environment.get(name):
        return value
    raise UnhealthyError(f"{name} is not set")
