"""With a real Kafka: the ledger says what a consumer finds, and the command tells the truth with its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.local.harness import Running
from producer import ProducerConfig, Shares, TopicMissingError, run
from producer.sent_log import SentEntry, read

pytestmark = pytest.mark.services
PARTITIONS = 3


@pytest.fixture
def broker(services: Running) -> str:
    return services.environment["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"]


@pytest.fixture
def topic(broker: str) -> Iterator[str]:
    admin, name = AdminClient({"bootstrap.servers": broker}), f"produced-{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
    yield name
    admin.delete_topics([name])[name].result()


def everything_in(broker: str, topic: str) -> dict[tuple[int | None, int | None], Message]:
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "test", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found: dict[tuple[int | None, int | None], Message] = {}
    ends = 0
    while ends < PARTITIONS:
        for message in consumer.consume(1_000, 0.5):
            error = message.error()
            if error is None:
                found[message.partition(), message.offset()] = message
            else:
                assert error.code() == KafkaError._PARTITION_EOF
                ends += 1
    consumer.close()
    return found


def by_place(entries: list[SentEntry]) -> dict[tuple[int | None, int | None], SentEntry]:
    return {(entry.partition, entry.offset): entry for entry in entries}


def millrace(*arguments: str, **variables: str) -> "subprocess.Popen[str]":
    command = Path(sys.executable).parent / "millrace"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        (command, "produce", *arguments), env={**inherited, **variables}, stdout=pipe, stderr=pipe, text=True
    )


def wait_for(file: Path, size: int) -> None:
    deadline = time.monotonic() + 30
    while not file.exists() or file.stat().st_size < size:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_ledger_is_what_a_consumer_reads(broker: str, topic: str, tmp_path: Path):
    shares = Shares(duplicates=0.1, late=0.1, out_of_order=0.1, invalid=0.2, tombstones=0.05)
    config = ProducerConfig(broker, topic, rate=0, count=4_000, shares=shares, ledger=tmp_path / "ledger.jsonl")
    summary = run(config)
    records, entries = everything_in(broker, topic), read(tmp_path / "ledger.jsonl")
    assert summary.complete
    assert summary.acknowledged == len(records) == len(entries) == 4_000
    assert summary.by_class == Counter(entry.kind for entry in entries)
    assert by_place(entries).keys() == records.keys()
    for topic_partition, entry in by_place(entries).items():
        record = records[topic_partition]
        assert entry.acknowledged
        assert entry.key.encode() == record.key()
        assert (record.value() is None) == (entry.kind == "tombstone")
        if entry.event_id:
            assert entry.event_id.encode() in (record.value() or b"")


def test_an_event_and_its_plain_duplicate_share_a_partition_and_some_strays_do_not(
    broker: str, topic: str, tmp_path: Path
):
    ledger = tmp_path / "ledger.jsonl"
    run(ProducerConfig(broker, topic, rate=0, count=3_000, seed=5, shares=Shares(duplicates=0.3), ledger=ledger))
    homes: dict[str, set[int | None]] = {}
    for entry in read(ledger):
        homes.setdefault(entry.event_id, set()).add(entry.partition)
    scattered = sum(len(partitions) > 1 for partitions in homes.values())
    assert 20 < scattered < 120


def test_fast_mode_delivers_every_message_and_notes_each(broker: str, topic: str, tmp_path: Path):
    ledger = tmp_path / "ledger.jsonl"
    summary = run(ProducerConfig(broker, topic, rate=0, count=50_000, fast=True, ledger=ledger))
    entries = read(ledger)
    assert summary.acknowledged == len(entries) == len(everything_in(broker, topic)) == 50_000
    assert len({entry.event_id for entry in entries}) == 50_000
    assert summary.by_type == Counter(entry.type for entry in entries)


def test_a_missing_topic_is_said_and_not_created(broker: str):
    with pytest.raises(TopicMissingError, match="nowhere"):
        run(ProducerConfig(broker, "nowhere", count=1))
    assert "nowhere" not in AdminClient({"bootstrap.servers": broker}).list_topics(timeout=5).topics


def test_the_command_reads_its_settings_from_the_environment_and_prints_json(broker: str, topic: str):
    process = millrace(
        "--count", "300", "--json", MILLRACE_KAFKA_BOOTSTRAP_SERVERS=broker, MILLRACE_KAFKA_TOPICS=f"{topic},other"
    )
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    told: dict[str, Any] = json.loads(out)
    assert (told["topic"], told["acknowledged"]) == (topic, 300)
    assert len(everything_in(broker, topic)) == 300


def test_the_command_ends_with_2_when_the_topic_is_missing(broker: str):
    process = millrace("--count", "1", "--topic", "nowhere", "--bootstrap-servers", broker)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "no topic 'nowhere'" in err


def test_signals_end_it_with_everything_delivered_and_noted(broker: str, topic: str, tmp_path: Path):
    ledgers = {number: tmp_path / f"{number.name}.jsonl" for number in (signal.SIGINT, signal.SIGTERM)}
    where = ("--topic", topic, "--bootstrap-servers", broker)
    started = {number: millrace(*where, "--json", "--ledger", str(ledger)) for number, ledger in ledgers.items()}
    total = 0
    for number, process in started.items():
        wait_for(ledgers[number], 10_000)
        process.send_signal(number)
        told: dict[str, Any] = json.loads(process.communicate(timeout=30)[0])
        assert process.returncode == 0
        assert told["interrupted"]
        assert told["acknowledged"] == told["sent"] == len(read(ledgers[number]))
        total += told["sent"]
    assert len(everything_in(broker, topic)) == total
