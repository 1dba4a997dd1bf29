"""`millrace send`: events of a file reach Kafka as they stand there, or it is said why not."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from click.testing import CliRunner, Result

from contract.contract import Contract
from orchestration.cli.send import send
from orchestration.settings import SettingsError
from producer.config import ProducerConfig
from producer.event_file import decided, values
from producer.file_sender import send_file
from tests.contract.making import DECODER
from tests.support.world import World, event

NOWHERE = "127.0.0.1:1"
services = pytest.mark.services


def command(text: str, *arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(send, [*arguments, "-"], input=text, env=variables)


def lines(*events: object) -> str:
    return "\n".join(map(json.dumps, events))


@pytest.mark.parametrize("bad", [{"type": "click"}, {"eventId": 7}])
def test_if_one_event_is_invalid_nothing_is_sent_and_it_is_said_which(bad: dict[str, Any]):
    done = command(lines(event(), event(**bad)), "--bootstrap-servers", NOWHERE)
    assert done.exit_code == 1
    assert done.output.startswith("standard input:2: event 2: ")
    assert done.output.endswith("nothing was sent: 1 valid, 1 refused; --anyway sends them all\n")


def test_of_many_invalid_events_the_first_are_told():
    done = command(lines(*range(100)), "--bootstrap-servers", NOWHERE)
    assert "and 90 more: millrace validate" in done.output
    assert len(done.output.splitlines()) == 12


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    done = command(lines(event()))
    assert isinstance(done.exception, SettingsError)
    assert "MILLRACE_KAFKA_BOOTSTRAP_SERVERS: is not set" in str(done.exception)
    assert command("", "--bootstrap-servers", NOWHERE).exit_code == 2


@services
def test_events_are_stored_as_they_stand_under_the_key_of_their_user(world: World):
    sent = [{**each.example(), "eventId": str(uuid.uuid4())} for each in Contract().values()]
    done = command(json.dumps(sent, indent=2), "--topic", world.topic, "--json", **world.services.environment)
    found = json.loads(done.stdout)
    assert (done.exit_code, found["events"], found["acknowledged"], found["errors"]) == (0, len(sent), len(sent), {})
    assert [each["event_id"] for each in found["records"]] == [each["eventId"] for each in sent]
    assert sorted(each["offset"] for each in found["records"]) == list(range(len(sent)))
    world.ingest()
    stored = world.query("select event_id::text, payload from raw.events")
    assert dict(stored) == {each["eventId"]: each["payload"] for each in sent}
    again = command(lines(*sent), "--topic", world.topic, **world.services.environment)
    assert again.output.splitlines()[-1] == f"5 of 5 acknowledged by Kafka in topic {world.topic}"
    assert again.output.startswith(f"{world.topic}/0@5\n")
    world.ingest()
    assert world.totals()["duplicates"] == len(sent)


@services
def test_invalid_events_are_sent_when_one_says_so_and_become_dead_letters(world: World, tmp_path: Path):
    file = tmp_path / "events.jsonl"
    file.write_text(lines(event("no-user", payload={}), event("of-u1", kind="nothing")) + '\n{"eventId":\n')
    arguments = [str(file), "--anyway", "--topic", world.topic]
    done = CliRunner().invoke(send, arguments, env=world.services.environment)
    assert done.exit_code == 0
    assert f"{file}:2: event 2: unknown_type" in done.output
    world.ingest()
    codes = world.query("select code, convert_from(key, 'UTF8') from raw.dead_letters order by kafka_offset")
    assert codes == [("missing_field", None), ("unknown_type", "u1"), ("not_json", None)]


@services
def test_a_topic_that_is_missing_is_said_with_the_command_that_makes_it(world: World):
    done = command(lines(event()), "--topic", "no-such-topic", **world.services.environment)
    assert done.exit_code == 2
    assert "has no topic 'no-such-topic'" in done.output
    assert "kafka-topics.sh --create" in done.output


def test_what_kafka_does_not_acknowledge_is_counted(monkeypatch: pytest.MonkeyPatch):
    """The delivery time-out is librdkafka's; here is what comes of its report."""
    reports: list[Callable[[object, None], None]] = []

    def time_out(_: float) -> None:
        while reports:
            reports.pop()(Mock(str=lambda: "Local: Message timed out"), None)

    def take(*arguments: Any) -> None:
        reports.append(arguments[-1])

    client = MagicMock(produce=take, flush=time_out)
    client.__len__.side_effect = lambda: len(reports)
    monkeypatch.setattr("producer.file_sender.connect", Mock(return_value=client))
    monkeypatch.setattr("producer.file_sender.partitions", Mock(return_value=1))
    checked = list(decided(values(lines(event(), event()).encode()), DECODER, time.time_ns() // 1_000))
    done = send_file(ProducerConfig(NOWHERE), checked, Event(), Event())
    assert (done.complete, done.counts.errors) == (False, {"Local: Message timed out": 2})
    assert [entry.acknowledged for entry in done.entries] == [False, False]
