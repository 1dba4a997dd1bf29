"""The dataflow of Bytewax that `peers` runs in an environment of its own; it imports nothing of ours.

What belongs here: Kafka to a table, at least once, a duplicate being left out by the key. What does not: validation and
everything else that Millrace does with a record. `BENCH_WRITE` chooses how rows get in: `executemany` or `copy`.
"""

# pyright: basic, reportMissingImports=false

import os
from typing import Any

import bytewax.operators as op
import orjson
import psycopg
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition

_TABLE = "peers.bytewax_" + os.environ["BENCH_WRITE"]
_COLUMNS = "event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset"
_TOPIC_ID = "00000000-0000-0000-0000-000000000001"
_INSERT = f"insert into {_TABLE} ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing"  # noqa: S608
_STAGE = f"create temp table staged as select {_COLUMNS} from {_TABLE} limit 0"  # noqa: S608
_MOVE = f"insert into {_TABLE} ({_COLUMNS}) select {_COLUMNS} from staged on conflict do nothing"  # noqa: S608


def _rows(messages: list[Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for message in messages:
        event = orjson.loads(message.value)
        payload = event["payload"]
        what = (event["eventId"], event["timestamp"], event["type"], payload["userId"], orjson.dumps(payload).decode())
        rows.append((*what, _TOPIC_ID, message.partition, message.offset))
    return rows


class _Table(StatelessSinkPartition[tuple[Any, ...]]):
    def __init__(self) -> None:
        self._connection = psycopg.connect(os.environ["MILLRACE_POSTGRES_URL"])
        self._connection.execute(_STAGE.encode())
        self._connection.commit()
        self._write = self._copy if os.environ["BENCH_WRITE"] == "copy" else self._executemany

    def write_batch(self, items: list[tuple[Any, ...]]) -> None:
        with self._connection.cursor() as cursor:
            self._write(cursor, items)
        self._connection.commit()

    def _executemany(self, cursor: Any, items: list[tuple[Any, ...]]) -> None:
        cursor.executemany(_INSERT.encode(), items)

    def _copy(self, cursor: Any, items: list[tuple[Any, ...]]) -> None:
        with cursor.copy(f"copy staged ({_COLUMNS}) from stdin".encode()) as copy:
            for item in items:
                copy.write_row(item)
        cursor.execute(_MOVE.encode())
        cursor.execute("truncate staged")


class _Tables(DynamicSink[tuple[Any, ...]]):
    def build(self, *_: Any) -> _Table:
        return _Table()


flow = Dataflow("peer")
_source = KafkaSource(
    [os.environ["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"]], [os.environ["BENCH_TOPIC"]], tail=False, batch_size=5_000
)
op.output("table", op.flat_map_batch("rows", op.input("kafka", flow, _source), _rows), _Tables())
