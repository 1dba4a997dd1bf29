"""Kafka Connect with the Debezium JDBC sink, as `peers` runs it: its configuration, its table, its command.

What belongs here: what it needs to bring the same events into a table with the same keys. What does not: timing.
Connect makes no jsonb of an object without code of one's own, so the fields of the payload are columns of their own
(the nested ones of form_submit are left out, in Connect's favour). Rows of a batch with the same key are reduced to
one, and the driver writes many rows with one statement: without these two it is slower.
"""

import json
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from benchmarks.rig import Rig
from infra.local import binaries, jars

# Connect and Debezium as Maven resolves them; without drivers of other databases. hibernate-agroal is 7.2.0.
JARS = jars.Pinned(Path(__file__).with_name("connect-jars.ini"), "connect-4.3.1", "Kafka Connect and Debezium (62 MB)")
TABLE = """
create table peers.connect (
    "eventId" uuid not null, type text not null, timestamp timestamptz not null, "payload_userId" text not null,
    payload_page text, payload_referrer text, payload_device text, payload_ip text, payload_duration float8,
    "payload_buttonId" text, "payload_formId" text, kafka_topic text not null, kafka_partition int not null,
    kafka_offset bigint not null, ingested_at timestamptz not null default clock_timestamp(),
    primary key (timestamp, "eventId")
);
create index on peers.connect ("payload_userId", timestamp)
"""
_PAYLOAD = ("userId", "page", "referrer", "device", "ip", "buttonId", "formId")
_LOGGING = """rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
"""


def command(rig: Rig, tasks: int) -> list[str]:
    """Write the configuration, and say how to start it."""
    home = rig.directory / "connect"
    home.mkdir(exist_ok=True)
    (home / "log4j2.properties").write_text(_LOGGING)
    for name, values in (("worker", _worker(rig, home)), ("sink", _sink(rig, tasks))):
        file = home / f"{name}.properties"
        file.touch(mode=0o600)
        file.write_text("".join(f"{key}={value}\n".replace("\\", "\\\\") for key, value in values.items()))
    classes = f"{jars.fetch(say=print, pinned=JARS)}/*"
    logging = f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}"
    files = (str(home / "worker.properties"), str(home / "sink.properties"))
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    return [str(binaries.java()), "-Xmx1g", "-cp", classes, logging, main, *files]


def _worker(rig: Rig, home: Path) -> dict[str, Any]:
    return {
        "bootstrap.servers": rig.settings.kafka_bootstrap_servers,
        "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(_schema()),
        "offset.storage.file.filename": home / "offsets",
        "listeners": "HTTP://127.0.0.1:0",
        "plugin.discovery": "service_load",
        "consumer.auto.offset.reset": "earliest",
        "consumer.max.poll.records": 5_000,
    }


def _schema() -> dict[str, Any]:
    payload = [_field("string", name) for name in _PAYLOAD]
    event = [
        _field("string", "eventId", name="io.debezium.data.Uuid"),
        _field("string", "type"),
        _field("string", "timestamp", name="io.debezium.time.ZonedTimestamp"),
        _field("struct", "payload", fields=[*payload, _field("double", "duration")]),
    ]
    return {"type": "struct", "fields": event}


def _field(type_: str, field: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "field": field, "optional": True, **more}


def _sink(rig: Rig, tasks: int) -> dict[str, Any]:
    place = conninfo_to_dict(rig.settings.postgres_url)
    where = f"jdbc:postgresql://{place['host']}:{place['port']}/{place['dbname']}"
    change = "org.apache.kafka.connect.transforms."
    return {
        "name": "peer",
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": tasks,
        "topics": rig.settings.kafka_topics[0],
        "connection.url": f"{where}?reWriteBatchedInserts=true",
        "connection.username": place["user"],
        "connection.password": place.get("password", ""),
        "collection.name.format": "peers.connect",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "timestamp,eventId",
        "schema.evolution": "none",
        "quote.identifiers": "true",
        "batch.size": 5_000,
        "use.reduction.buffer": "true",
        "transforms": "flat,place",
        "transforms.flat.type": change + "Flatten$Value",
        "transforms.flat.delimiter": "_",
        "transforms.place.type": change + "InsertField$Value",
        "transforms.place.topic.field": "kafka_topic",
        "transforms.place.partition.field": "kafka_partition",
        "transforms.place.offset.field": "kafka_offset",
    }
