"""The views of schema `analytics`: one a type of event, made from the contract, and those that show how things are.

What belongs here: what each view is: its name, its columns, its query. What does not: making them in a database
(`create_views`) and who may read them (`analyst_role`).

A column of an event view never raises, whatever JSON the payload holds: a row may have been stored under an older or
a newer contract. Where a value is of another kind than the contract says, or does not fit, the column is null (a text
column shows its JSON); the exact value is always in raw.events.payload.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql
from sqlalchemy import Table

from contract.contract import Contract, EventType, Field, Kind
from infra.postgres.sql import statement
from infra.postgres.tables.model import REBUILT, metadata
from resources import locks

SCHEMA = "analytics"
MADE_BY = "Made by millrace migrate"
"""Stands in the comment of each view that is ours: only those are replaced and dropped."""

_OURS = frozenset({"live", "freshness", "topics", "dead_letters"})
_MAX_NAME = 63  # bytes; PostgreSQL would cut what is longer
_BIGINT = "-9223372036854775808 and 9223372036854775807"
_NUMBER = "case when jsonb_typeof(e.payload -> {0}) = 'number' then (e.payload -> {0})::numeric end"
_EXPRESSIONS: dict[Kind, tuple[str, str]] = {
    "text": ("text", "e.payload ->> {0}"),
    # Not double precision: it raises for what is too small or too large for it, and its sums do too.
    "number": ("numeric", _NUMBER),
    "integer": (
        "bigint",
        f"case when ({_NUMBER}) between {_BIGINT} and mod({_NUMBER}, 1) = 0 then ({_NUMBER})::bigint end",
    ),
    "boolean": (
        "boolean",
        "case when jsonb_typeof(e.payload -> {0}) = 'boolean' then (e.payload -> {0})::boolean end",
    ),
    "json": ("jsonb", "e.payload -> {0}"),
}

# A row a topic, and PostgreSQL knows that from the grouping: a query that does not ask for the name does not join.
_NAMES = """left join (
    select
        o.topic_id,
        min(o.topic) as topic
    from ops.offsets as o
    group by o.topic_id
) as t on e.kafka_topic_id = t.topic_id"""


@dataclass(frozen=True)
class Column:
    """A column of a view, as the database has it."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class View:
    """A view of schema `analytics`.

    Attributes:
        name: without the schema.
        comment: what it holds, `MADE_BY` at its end.
        grain: what there is a row for.
        columns: in order.
        query: what it selects; these columns, in this order.
    """

    name: str
    comment: str
    grain: str
    columns: tuple[Column, ...]
    query: str


def views(contract: Contract) -> tuple[View, ...]:
    """All views, those of the types in the contract's order first.

    Raises:
        ValueError: two views, or two columns of one, would have the same name, or a name is too long.
    """
    made = (*map(event_view, contract.values()), _live(contract), _freshness(), _topics(), _dead_letters(contract))
    _refuse_twins("views", [view.name for view in made])
    return made


def view_name(event_type: str) -> str:
    """The type's plural; `<type>_events` where a table or another view of the schema has that name."""
    plural = _plural(event_type)
    taken = {table.name for table in _aggregates() if table.schema == SCHEMA} | _OURS
    return f"{event_type}_events" if plural in taken else plural


def event_view(event: EventType) -> View:
    """The view of one type of event.

    Raises:
        ValueError: two columns would have the same name, or a name is too long.
    """
    made = list(_event_columns(event))
    _refuse_twins(f"columns of the view of {event.name}", [column.name for column, _ in made])
    selected = ",\n    ".join(f'{value} as "{column.name}"' for column, value in made)
    stored = f"raw.events as e\n{_NAMES}\nwhere e.type = {_literal(event.name)}"
    query = f"select\n    {selected}\nfrom {stored}"  # nosec B608
    comment = f"{event.description} {MADE_BY} from the event type {event.name}."
    return View(view_name(event.name), comment.strip(), "event", tuple(column for column, _ in made), query)


def _event_columns(event: EventType) -> Iterator[tuple[Column, str]]:
    yield Column("event_id", "uuid", "The event"), "e.event_id"
    yield Column("occurred_at", "timestamp with time zone", "When it happened, UTC"), "e.occurred_at"
    yield Column("user_id", "text", "Who did it"), "e.user_id"
    yield from (_payload_column(each) for each in event.fields if each.attribute != "user_id")
    known = _literal([each.name for each in event.fields])
    unknown = f"case when jsonb_typeof(e.payload) = 'object' then e.payload - {known}::text[] end"
    yield Column("extra", "jsonb", "What else the payload has, beyond the contract"), unknown
    yield Column("kafka_topic", "text", "The Kafka topic that it came from"), "t.topic"
    yield Column("ingested_at", "timestamp with time zone", "When it was stored, UTC"), "e.ingested_at"


def _payload_column(field: Field) -> tuple[Column, str]:
    name = field.attribute
    if name in {"event_id", "occurred_at", "extra", "kafka_topic", "ingested_at"}:
        name = f"payload_{name}"
    kind, expression = _EXPRESSIONS[field.kind]
    comment = " ".join(filter(None, [f"payload.{field.name}.", field.description]))
    return Column(name, kind, comment), expression.format(_literal(field.name))


def _live(contract: Contract) -> View:
    columns = (
        Column("type", "text", "Event type"),
        Column("last_event_minute", "timestamp with time zone", "Minute of the last event; null: there was none ever"),
        Column(
            "seconds_since", "bigint", "Seconds since that minute began: the last event is at most so old; null if none"
        ),
        Column("running_minute", "bigint", "Events in the minute that runs"),
        Column("last_minute", "bigint", "Events in the last full minute"),
        Column("last_5_minutes", "bigint", "Events in the last 5 full minutes"),
        Column("last_60_minutes", "bigint", "Events in the last 60 full minutes"),
        Column("per_second", "numeric", "Events a second over the last 5 full minutes"),
    )
    comment = f"The last minutes at a glance, by the time at which events occurred. {MADE_BY}."
    query = statement("live").decode().replace("%(types)s", _literal(list(contract)))  # a view has no parameters
    return View("live", comment, "event type", columns, query)


def _freshness() -> View:
    columns = (
        Column("hour", "timestamp with time zone", "The hour, UTC, in which the events occurred"),
        Column("events", "bigint", "Events that are in raw.events and not yet in the aggregates"),
        Column("waiting_since", "timestamp with time zone", "When the first of them was stored"),
        Column("waiting_seconds", "double precision", "How long ago that is"),
        Column("aggregate", "text", "The table that lacks days of its history; null: the groups lack these events"),
        Column("missing_days", "bigint", "How many days it lacks; they are filled in the background"),
        Column("oldest_missing", "date", "The oldest of these days"),
        Column("newest_missing", "date", "The newest of these days: figures of both and between may be wrong"),
        Column("groups", "text[]", "Groups of tables that lack these events: hourly, users, security; else null"),
    )
    text = (
        "Hours whose latest events the aggregates do not hold yet, and tables that lack days of their history. "
        "Empty: every table is settled and whole."
    )
    filled = sorted(table.name for table in _aggregates() if table.info[REBUILT])
    query = statement("freshness").decode().replace("%(tables)s", _literal(filled))  # a view has no parameters
    query = query.replace("%(groups)s", _literal(list(locks.GROUPS)))
    return View("freshness", f"{text} {MADE_BY}.", "hour that waits or table that lacks days", columns, query)


def _topics() -> View:
    columns = (
        Column("topic_id", "uuid", "Kafka's id of the topic, as kafka_topic_id of raw.events has it"),
        Column("topic", "text", "Its name"),
        Column("partitions", "bigint", "Partitions of which anything was read"),
        Column("last_read_at", "timestamp with time zone", "When something of it was committed last"),
        Column("replaced_at", "timestamp with time zone", "When a topic of this name and another id took its place"),
    )
    comment = f"The Kafka topics that were ever ingested. {MADE_BY}."
    return View("topics", comment, "topic", columns, statement("topics").decode())


def _dead_letters(contract: Contract) -> View:
    """Only what cannot hold a person's data: the reason quotes the value, so just the declared field is taken of it."""
    columns = (
        Column("dead_letter_id", "bigint", "Number of the dead letter, by which operators show and redrive it"),
        Column("topic", "text", "Kafka topic"),
        Column("topic_id", "uuid", "Kafka's id of the topic: a re-created topic has another one"),
        Column("partition", "integer", "Kafka partition"),
        Column("kafka_offset", "bigint", "Kafka offset"),
        Column("kafka_timestamp", "timestamp with time zone", "The record's Kafka timestamp, where it has one"),
        Column("code", "text", "Why it was refused: a stable code, see docs/events.md"),
        Column("status", "text", "open, resolved (stored since, or known as a duplicate) or discarded"),
        Column("attempts", "integer", "How often it was tried"),
        Column("first_seen_at", "timestamp with time zone", "When it was refused first"),
        Column("last_attempt_at", "timestamp with time zone", "When it was tried last"),
        Column("run_id", "text", "The run that tried it last"),
        Column("path", "text", "The declared field at fault, such as $.payload.page; $ is the whole; null: no field"),
        Column("value_bytes", "integer", "Size of the record's value; null: it is no longer kept"),
    )
    comment = f"Rejected records without what they hold: no key, no value, no headers, no reason. {MADE_BY}."
    place = _literal(contract.declared_place)
    query = statement("dead_letters").decode().replace("%(place)s", place)  # a view has no parameters
    return View("dead_letters", comment, "rejected record", columns, query)


def _aggregates() -> list[Table]:
    """The tables that `assets.aggregates` declares; it cannot be imported here."""
    found = [table for table in metadata.tables.values() if REBUILT in table.info]
    if not found:
        raise RuntimeError("no aggregate is declared: import assets.aggregates.catalog first")
    return found


def _literal(value: object) -> str:
    return sql.Literal(value).as_string()


def _plural(word: str) -> str:
    if re.search(r"[^aeiou_]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(s|x|z|ch|sh)$", word) else "s")


def _refuse_twins(what: str, names: list[str]) -> None:
    bad = sorted({name for name in names if names.count(name) > 1 or len(name.encode()) > _MAX_NAME})
    if bad:
        raise ValueError(f"{what}: the same name twice, or one of more than {_MAX_NAME} bytes: {', '.join(bad)}")
