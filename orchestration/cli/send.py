"""`millrace send`: events of a file to Kafka.

What belongs here: options, printing, exit codes. What does not: deciding about the events (`validate`), sending them
(`producer.file_sender`), simulated traffic (`produce`).
"""

import json
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

import click

from orchestration.cli import validate as checks
from orchestration.cli.produce import how_to_create, kafka_settings
from orchestration.cli.signals import stopping
from producer import ProducerConfig, ProducerError, TopicMissingError
from producer.event_file import Decided
from producer.file_sender import FileSent, send_file

_SHOWN = 10


@click.command(short_help="Send the events of a file to Kafka.")
@checks.FILE
@click.option("--topic", help="[default: the first of MILLRACE_KAFKA_TOPICS]")
@click.option("--bootstrap-servers", metavar="HOST:PORT", help="[default: MILLRACE_KAFKA_BOOTSTRAP_SERVERS]")
@click.option("--anyway", is_flag=True, help="Send invalid events too: they become dead letters.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nothing else goes to standard output.")
def send(file: BinaryIO, topic: str | None, bootstrap_servers: str | None, anyway: bool, as_json: bool) -> None:
    """Send events to a topic as they stand in a file, and wait until Kafka has acknowledged them.

    FILE, or standard input (-), has an event on each line, or is one JSON document: an event, or an array of events.
    It is read whole and checked as by `millrace validate` first; if an event is invalid, nothing is sent. The key of a
    record is the event's userId.

    \b
    One event:       echo '{"eventId": ...}' | millrace send -
    Many:            millrace send events.jsonl
    See it arrive:   millrace psql --analyst -c 'select * from events order by ingested_at desc limit 5'

    Ctrl-C sends nothing more and waits for what is on its way; a second Ctrl-C gives that up. What is not acknowledged
    may or may not be in Kafka: send the file again, an event is stored once.

    \b
    Exit code: 0 all acknowledged; 1 an event is invalid, not all are acknowledged, or Kafka does not answer; 2 wrong
    usage or settings, no event at all, or the topic is missing.
    """  # noqa: D301 - click's \b is that very character
    settings = kafka_settings(topic, bootstrap_servers, checks.LIMITS)
    checked = checks.examine(file, settings=settings)
    _refuse(file, checked, anyway=anyway)
    config = ProducerConfig(
        settings.kafka_bootstrap_servers, settings.kafka_topics[0], kafka_options=settings.kafka_options
    )
    try:
        with stopping() as (stop, abandon):
            done = send_file(config, checked, stop, abandon)
    except ProducerError as error:
        click.echo(f"millrace send: {error}{how_to_create(error, config)}", err=True)
        sys.exit(2 if isinstance(error, TopicMissingError) else 1)
    _report(done, as_json=as_json)
    sys.exit(0 if done.complete else 1)


def _refuse(file: BinaryIO, checked: Sequence[Decided], *, anyway: bool) -> None:
    said = list(checks.complaints(file, checked))
    for line in said[:_SHOWN]:
        click.echo(line, err=True)
    if len(said) > _SHOWN:
        click.echo(f"and {len(said) - _SHOWN:,} more: millrace validate", err=True)
    if said and not anyway:
        click.echo(f"nothing was sent: {checks.counted(checked)}; --anyway sends them all", err=True)
        sys.exit(1)


def _report(done: FileSent, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_told(done), indent=2))
    else:
        for entry in (e for e in done.entries[:_SHOWN] if e.acknowledged):
            click.echo(f"{done.topic}/{entry.partition}@{entry.offset}")
        if done.counts.acknowledged > _SHOWN:
            click.echo("...")
        click.echo(f"{done.counts.acknowledged:,} of {done.events:,} acknowledged by Kafka in topic {done.topic}")
    for error, count in done.counts.errors.items():
        click.echo(f"millrace send: {count:,} not acknowledged: {error}", err=True)
    if unsent := done.events - done.counts.sent:
        click.echo(f"millrace send: {unsent:,} not sent: interrupted", err=True)


def _told(done: FileSent) -> dict[str, Any]:
    names = ("event_id", "partition", "offset", "acknowledged")
    records = [{name: getattr(entry, name) for name in names} for entry in done.entries]
    counts = {"events": done.events, "acknowledged": done.counts.acknowledged, "errors": dict(done.counts.errors)}
    return {"topic": done.topic, **counts, "records": records}
