"""`millrace produce`: simulated traffic to Kafka.

What belongs here: options, signals, printing, exit codes. What does not: the traffic and its sending (`producer`).
"""

import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from typing_extensions import override

from orchestration.cli.signals import stopping
from orchestration.setting_values import parse_duration
from orchestration.settings import Settings, SettingsError, load_some
from producer import ProducerConfig, ProducerError, Shares, Summary, TopicMissingError, run
from producer.display import Display, print_summary

_NEEDED = ("kafka_bootstrap_servers", "kafka_topics", "kafka_options")

_HELP = """Send simulated traffic to Kafka: users who log in, view pages, click, submit forms and log out.

Without --count or --duration it goes on until Ctrl-C, which sends nothing more, waits for what is on
its way and sums up; a second Ctrl-C gives up what is not acknowledged. Each SHARE is the part (0 to 1)
of all messages.

\b
A thousand events a second for a minute, with the troubles of real traffic:
  millrace produce --duration 60s --duplicates 0.02 --late 0.05 --out-of-order 0.05 --invalid 0.01
Half a million events as fast as Kafka takes them, and a record of what went where:
  millrace produce --count 500000 --fast --ledger sent.jsonl

A line of the ledger, written when Kafka reports what became of a message: eventId (empty if the message
has none), class (valid, duplicate, late, out_of_order, invalid:CODE, tombstone), type, key, partition,
offset, acknowledged. Not acknowledged means that it may or may not be in Kafka.

Exit code: 0 all acknowledged; 1 not all, or Kafka does not answer; 2 wrong usage or settings, topic
missing.
"""


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            found = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        assert isinstance(found, timedelta)  # noqa: S101 - what parse_duration is for
        return found


def _share(name: str, what: str) -> Callable[[Any], Any]:
    return click.option(name, type=click.FloatRange(0, 1), default=0.0, metavar="SHARE", help=what)


@click.command(short_help="Send simulated traffic to Kafka.", help=_HELP)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    help="Messages a second, 0 for as fast as possible.  [default: 1000; 0 with --fast]",
)
@click.option("--count", type=click.IntRange(min=0), help="Stop after so many messages.")
@click.option("--duration", type=_Duration(), help="Stop after this time: 90s, 15m, 1h.")
@click.option(
    "--seed",
    type=int,
    help="Repeat a run exactly, event ids included: the same seed twice sends duplicates.  [default: random]",
)
@click.option(
    "--users", type=click.IntRange(min=1), help="How many people there are.  [default: 10000, more at high rates]"
)
@_share("--duplicates", "Events sent again, byte for byte; at once, later, some to another partition.")
@_share("--late", "Events that happened two minutes to seven days ago.")
@_share("--out-of-order", "Events sent after later ones.")
@_share("--invalid", "Messages that are wrong on purpose, spread over all rejection codes.")
@_share("--tombstones", "Messages without a value.")
@click.option(
    "--rhythm",
    is_flag=True,
    help="Let the rate follow the hour (UTC): more in the afternoon than at night; --rate is the mean.",
)
@click.option("--fast", is_flag=True, help="Valid events from templates, to saturate what comes behind.")
@click.option("--topic", help="[default: the first of MILLRACE_KAFKA_TOPICS]")
@click.option("--bootstrap-servers", metavar="HOST:PORT", help="[default: MILLRACE_KAFKA_BOOTSTRAP_SERVERS]")
@click.option(
    "--ledger", type=click.Path(dir_okay=False, path_type=Path), help="Write a JSON line for every message; see above."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", is_flag=True, help="No progress and no summary; errors and --json only.")
def produce(topic: str | None, bootstrap_servers: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Read the options, run the producer, report."""
    config = _config(kafka_settings(topic, bootstrap_servers), **options)
    console = Console(stderr=True, quiet=quiet)
    try:
        summary = _produce(config, console)
    except ProducerError as error:
        click.echo(f"millrace produce: {error}{how_to_create(error, config)}", err=True)
        sys.exit(2 if isinstance(error, TopicMissingError) else 1)
    _report(summary, as_json, quiet)
    sys.exit(0 if summary.complete else 1)


def kafka_settings(topic: str | None, bootstrap_servers: str | None, more: Sequence[str] = ()) -> Settings:
    """The settings about Kafka, and `more`, checked as ever; nobody needs a database to send events."""
    given = {"kafka_topics": topic, "kafka_bootstrap_servers": bootstrap_servers}
    try:
        return load_some((*_NEEDED, *more), **{name: value for name, value in given.items() if value})
    except SettingsError as error:
        unset = "MILLRACE_KAFKA_BOOTSTRAP_SERVERS: is not set" in str(error)
        raise SettingsError(f"{error}\nOr give --bootstrap-servers." if unset else str(error)) from None


def _config(settings: Settings, **options: Any) -> ProducerConfig:
    shares = {name: options.pop(name) for name in ("duplicates", "late", "out_of_order", "invalid", "tombstones")}
    duration: timedelta | None = options.pop("duration")
    rate: float | None = options.pop("rate")
    try:
        return ProducerConfig(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            topic=settings.kafka_topics[0],
            kafka_options=settings.kafka_options,
            duration=duration.total_seconds() if duration is not None else None,
            rate=rate if rate is not None else 0.0 if options["fast"] else 1_000.0,
            shares=Shares(**shares),
            **options,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _produce(config: ProducerConfig, console: Console) -> Summary:
    try:
        with stopping() as (stop, abandon), Display(console, config) as display:
            return run(config, display.show, stop=stop, abandon=abandon)
    except OSError as error:
        raise click.FileError(str(config.ledger), error.strerror) from None


def _report(summary: Summary, as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(summary)).decode())
    elif not quiet:
        print_summary(Console(), summary)
        return
    for error, count in summary.errors.items():
        click.echo(f"millrace produce: {count} not acknowledged: {error}", err=True)


def how_to_create(error: ProducerError, config: ProducerConfig) -> str:
    """The command that makes a missing topic."""
    if not isinstance(error, TopicMissingError):
        return ""
    where = f"--bootstrap-server {config.bootstrap_servers} --topic {config.topic}"
    return f", for example: kafka-topics.sh --create {where} --partitions 4"
