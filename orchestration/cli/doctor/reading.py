"""What the doctor says of reading: partitions that Kafka does not hand out, and topics that nobody reads any more.

What belongs here: asking and saying what to do. What does not: whether services answer (`infra.local.doctor`).
"""

from collections.abc import Iterator, Mapping

import psycopg

from assets.ingest import unconfigured_topics, withheld
from assets.ingest.withheld import Withheld
from infra.local.preflight import Finding
from orchestration.factories import make_kafka
from orchestration.settings import Settings
from resources.kafka import KafkaUnavailable
from resources.postgres import Postgres, describe

_MEND = (
    "mend it at the brokers (docs/runbook.md, MillracePartitionUnreadable); where it is lost for good: "
    "millrace gaps give-up --topic {topic} --partition {partition} --dry-run"
)
_MEND_ALL = "Millrace's user needs DESCRIBE and READ on the topic: docs/runbook.md, MillracePartitionUnreadable"
_PUT_IN = "put it into MILLRACE_KAFKA_TOPICS again and restart, or: docs/runbook.md, MillraceTopicLeftOut"
_CREATE = "create it: docs/topics.md; or correct MILLRACE_KAFKA_TOPICS and restart"
_ASK_AGAIN = "ask again when PostgreSQL and Kafka answer; millrace gaps list needs PostgreSQL alone"


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding for each partition and topic, or one that says that all is well."""
    try:
        stuck, forgotten, missing = _ask(settings)
    except (psycopg.Error, KafkaUnavailable) as error:
        what = describe(error) if isinstance(error, psycopg.Error) else f"Kafka: {error}"
        yield Finding("partitions", "WARN", f"it is not known whether they can be read: {what}", _ASK_AGAIN)
        return
    yield from map(_stuck, stuck)
    if missing:
        yield Finding("topics", "FAIL", f"Kafka has no topic {', '.join(missing)}", _CREATE)
    yield from _left_out(forgotten)
    if not stuck:
        yield Finding("partitions", "OK", "Kafka withholds none")


def _ask(settings: Settings) -> tuple[list[Withheld], Mapping[str, int], list[str]]:
    kafka, troubles = make_kafka(settings), dict[str, str]()
    with Postgres(settings.postgres_url).connect("millrace-doctor", statement_timeout_seconds=5) as connection:
        known = unconfigured_topics.known(connection, settings.kafka_topics)
        available = kafka.available(settings.kafka_topics, troubles)
        stuck = withheld.read(connection, troubles, available)
    described = {name.partition("/")[0] for name in troubles} | {each.topic for each in available}
    missing = sorted(set(settings.kafka_topics) - described)
    mine = [each for each in stuck if each.topic in settings.kafka_topics]
    return mine, unconfigured_topics.count(kafka, known), missing


def _stuck(found: Withheld) -> Finding:
    since = f" (since {found.since:%Y-%m-%d %H:%M:%S %Z})" if found.since else ""
    mend = _MEND_ALL if found.partition == withheld.ALL else _MEND
    advice = mend.format(topic=found.topic, partition=found.partition)
    return Finding("partitions", "FAIL", f"cannot be read: {found}{since}", advice)


def _left_out(forgotten: Mapping[str, int]) -> Iterator[Finding]:
    for topic, left in sorted(forgotten.items()):
        text = f"{topic} is not in MILLRACE_KAFKA_TOPICS any more, with {left:,} unread records"
        yield Finding("topics", "WARN", text, _PUT_IN)
