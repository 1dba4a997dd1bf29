"""What a declaration of an aggregate is made with: columns that say what they come from, and the kinds of tables.

What belongs here: `Aggregate`, its parts, and for each kind of table the function that makes a declaration of little
more than names and comments. What does not: the declarations (`tables`), and how a table is filled (`hourly` and the
other modules beside this one).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, LiteralString, cast

from sqlalchemy import BigInteger, Column, Date, Table, Text

from infra.postgres.tables import model
from infra.postgres.tables.model import TIME, metadata

Grain = Literal["minute", "hour", "day", "week", "session", "user", "event"]
Group = Literal["hourly", "users", "security"]

EVENT_ID, EVENT_TIME, EVENT_TYPE = "raw.events.event_id", "raw.events.occurred_at", "raw.events.type"
EVENT_USER, EVENT_PAYLOAD = "raw.events.user_id", "raw.events.payload"
_SOURCES = "sources"
_USER_DAYS = "ops.user_days"


@dataclass(frozen=True)
class PreviewSpec:
    """How a table is shown in Dagster's user interface.

    `order` is that of its newest rows, which an index gives; `rows` bounds them where none does. `measure` is plotted
    over the last `points` steps of its time column, where its course says something.
    """

    order: LiteralString
    rows: LiteralString = "true"
    measure: LiteralString | None = None
    step: timedelta = timedelta(hours=1)
    points: int = 24


@dataclass(frozen=True)
class Aggregate:
    """The declaration of one table: of the schema `analytics`, or of helper rows in `ops`.

    Attributes:
        relation: the table with its columns, which say in a comment what they mean and in `sources` what they come
            from. What the table is made of follows from that.
        grain: what there is a row for; partitions in Dagster follow from it.
        time_column: orders the rows in time; None for rows over all time.
        preview: how the table is shown.
        group: where Dagster shows it.
        version: raise it with a change by which rows of the past would be others; then they are made anew in the
            background (`history`).
        beside: further tables that it is computed from, which no column comes from.
        reach: how many days a row counts back, its own included.
        count: the measure of a table that is counted from facts, by hour (`hourly`) or by day (`daily`).
        sums: the measures of a table that is summed over the days of users (`per_user`).
    """

    relation: Table
    grain: Grain
    time_column: str | None
    preview: PreviewSpec
    group: Group = "hourly"
    version: int = 1
    beside: tuple[str, ...] = ()
    reach: int = 1
    count: str | None = None
    sums: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name without its schema."""
        return self.relation.name

    @property
    def schema(self) -> str:
        """The schema."""
        return str(self.relation.schema)

    @property
    def table(self) -> str:
        """The name with its schema."""
        return self.relation.fullname

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the key, in its order."""
        return tuple(each.name for each in self.relation.primary_key.columns)

    @property
    def columns(self) -> Mapping[str, Column[Any]]:
        """The columns by name, in order."""
        return {each.name: each for each in self.relation.columns}

    @property
    def upstream(self) -> tuple[str, ...]:
        """The tables that its columns come from."""
        return tuple(dict.fromkeys(table for name in self.columns for table, _ in self.sources(name)))

    def sources(self, name: str) -> list[tuple[str, str]]:
        """What a column comes from: tables with their schema, and columns."""
        found = str(self.columns[name].info[_SOURCES]).split()
        return [(each.rpartition(".")[0], each.rpartition(".")[2]) for each in found]


def column(
    name: str, kind: object, comment: str, sources: str, *extra: object, null: bool = False, **more: object
) -> Column[Any]:
    """A column, not null unless said otherwise.

    Args:
        name: its name.
        kind: its type.
        comment: what it means; analysts see it in the database, in Dagster and in docs/tables.md.
        sources: the columns that it comes from, with schema and table, separated by blanks.
        extra: further arguments of SQLAlchemy's column.
        null: whether it may be null.
        more: likewise, by name.
    """
    return model.column(name, kind, comment, *extra, null=null, info={_SOURCES: sources}, **more)


def key(name: str, kind: object, comment: str, sources: str) -> Column[Any]:
    """A column of the primary key."""
    return column(name, kind, comment, sources, primary_key=True, autoincrement=False)


def table(name: str, comment: str, *parts: Any, schema: str = "analytics", rebuilt: bool = True) -> Table:
    """The table, in the metadata that migrations, documents and views are held against."""
    return Table(name, metadata, *parts, schema=schema, comment=comment, info={model.REBUILT: rebuilt})


def dimension(name: str, comment: str, sources: str = EVENT_PAYLOAD) -> Column[Any]:
    """A text that rows are told apart by; it is part of the key."""
    return key(name, Text, comment, sources)


def measure(name: str, comment: str, sources: str = EVENT_TYPE) -> Column[Any]:
    """A number that is counted or summed."""
    return column(name, BigInteger, comment, sources)


def hour(sources: str = EVENT_TIME) -> Column[Any]:
    """The hour, in the key of an hourly table."""
    return key("hour", TIME, "Start of the hour, UTC", sources)


def counted_by_hour(
    name: str,
    comment: str,
    *dimensions: Column[Any],
    count: Column[Any],
    preview: PreviewSpec | None = None,
    version: int = 1,
) -> Aggregate:
    """A table of facts by hour: how many there are, and of how many users.

    Its `.sql` selects `hour`, the dimensions and `user_id` of each event that counts from `events as e`, which has
    `hour`, `day`, `type`, `user_id` and `payload`.
    """
    return _counted(name, comment, hour(), dimensions, count, preview, version)


def counted_by_day(
    name: str,
    comment: str,
    *dimensions: Column[Any],
    count: Column[Any],
    preview: PreviewSpec | None = None,
    version: int = 1,
) -> Aggregate:
    """A table of facts by day, UTC: as `counted_by_hour`, but its `.sql` selects `day`."""
    day = key("day", Date, "The day, UTC", EVENT_TIME)
    return _counted(name, comment, day, dimensions, count, preview, version)


def summed_by_user(name: str, comment: str, *measures: Column[Any], version: int = 1) -> Aggregate:
    """A table of users, over all time: on how many days there are facts about them, and sums over these days.

    Its `.sql` selects `user_id` and the measures, which are whole numbers, for each user and day that counts from
    `days as d`, which has the columns of ops.user_days but `funnel_steps`.

    Raises:
        ValueError: a measure says that it comes from elsewhere.
    """
    for each in measures:
        if not all(source.startswith(f"{_USER_DAYS}.") for source in each.info[_SOURCES].split()):
            raise ValueError(f'{name}: {each.name} comes from days; measure(..., sources="{_USER_DAYS}.COLUMN")')
    user = key("user_id", Text, "The user", f"{_USER_DAYS}.user_id")
    days = column("days", BigInteger, "Days that count", f"{_USER_DAYS}.day")
    return Aggregate(
        table(name, comment, user, days, *measures),
        grain="user",
        time_column=None,
        preview=PreviewSpec("user_id"),
        group="users",
        version=version,
        sums=("days", *(each.name for each in measures)),
    )


def _counted(
    name: str,
    comment: str,
    time: Column[Any],
    dimensions: tuple[Column[Any], ...],
    count: Column[Any],
    preview: PreviewSpec | None,
    version: int,
) -> Aggregate:
    users = column("users", BigInteger, "Distinct users", EVENT_USER)
    newest_first = cast("LiteralString", f"{time.name} desc, {count.name} desc")
    return Aggregate(
        table(name, comment, time, *dimensions, count, users),
        grain="hour" if time.name == "hour" else "day",
        time_column=time.name,
        preview=preview or PreviewSpec(newest_first),
        count=count.name,
        version=version,
    )
