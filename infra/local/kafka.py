"""Apache Kafka for one machine: a single node that is broker and controller at once (KRaft).

What belongs here: its settings, the format of its storage, its start command. What does not: its jars
(`jars`) and its topics, which Millrace's own migration makes.
"""

import base64
import os
import subprocess
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local import binaries, files
from infra.local.services import HOST, LocalError, LocalService, answers_tcp

NAME = "kafka"
VERSION = "4.3.1"
_LOCALE = {"LC_ALL": "C.UTF-8"}  # else Java cannot open a path with letters beyond ASCII
_LARGEST_MESSAGE = 10 * 1024 * 1024

_LOGGING = """rootLogger.level = info
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %encode{%m}{JSON} (%c) %encode{%xEx}{CRLF}%n
"""
"""A record is a line: ids of clients, groups and transactions are in it as a client says them, line breaks included."""


def _settings(directory: Path, port: int, controller_port: int) -> dict[str, object]:
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": directory / "data",
        "auto.create.topics.enable": "false",
        "message.max.bytes": _LARGEST_MESSAGE,
        "replica.fetch.max.bytes": _LARGEST_MESSAGE,
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker may not register again before its old session has ended: nine seconds by default.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # One broker holds every internal topic, in few partitions: fifty of each would only slow its start.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # the default is a quarter of this heap
    }


def prepare(directory: Path, jars: Path, port: int, controller_port: int) -> None:
    """Write the settings, and format the storage once."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = _settings(directory, port, controller_port)
    lines = "".join(f"{name}={_escaped(str(value))}\n" for name, value in settings.items())
    files.write(directory / "server.properties", lines)
    files.write(directory / "log4j2.properties", _LOGGING)
    if not (directory / "data" / "meta.properties").exists():
        _format(directory, jars)


def service(directory: Path, jars: Path, port: int) -> LocalService:
    """How to run the broker in a prepared directory."""
    options = (
        "-Xms128m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
    )
    return LocalService(
        name=NAME,
        command=_java(directory, jars, *options, "kafka.Kafka", str(directory / "server.properties")),
        cwd=directory,
        environment=_LOCALE,
        port=port,
        ready=lambda: answers(f"{HOST}:{port}"),
        stop_seconds=30,
        settle_seconds=4,
        ready_seconds=120,
    )


def answers(bootstrap_servers: str) -> bool:
    """Whether a broker takes part in the cluster: it listens before it does."""
    if not answers_tcp(int(bootstrap_servers.rpartition(":")[2])):
        return False
    try:
        client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _escaped(value: str) -> str:
    """A value of a .properties file, which Java reads as Latin-1."""
    units = value.encode("utf-16-be")
    pairs = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in pairs)


def _java(directory: Path, jars: Path, *arguments: str) -> tuple[str, ...]:
    logging = f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}"
    return (str(binaries.java()), "-cp", f"{jars}/*", logging, *arguments)


def _format(directory: Path, jars: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    quick = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    arguments = ("--cluster-id", cluster.replace("-", "x"), "--config", str(directory / "server.properties"))
    tool = _java(directory, jars, *quick, "kafka.tools.StorageTool", "format", "--ignore-formatted", *arguments)
    answer = subprocess.run(tool, env={**os.environ, **_LOCALE}, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise LocalError(f"Kafka's storage could not be formatted:\n{answer.stdout}{answer.stderr}".rstrip())
