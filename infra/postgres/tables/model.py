"""What every table is made with: the metadata, its naming convention, and columns that must have a comment."""

from sqlalchemy import Column, DateTime, Integer, MetaData
from sqlalchemy.dialects.postgresql import UUID

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

TIME = DateTime(timezone=True)
REBUILT = "rebuilt"
"""In the `info` of an aggregate's table: whether it is rebuilt from events, and has a row in ops.aggregate_history."""


def column(name: str, kind: object, comment: str, *extra: object, null: bool = False, **more: object) -> Column[object]:
    """A column, not null unless said otherwise; the comment is what analysts and `docs/tables.md` show."""
    return Column(name, kind, *extra, nullable=null, comment=comment, **more)  # type: ignore[arg-type]


def key(name: str, kind: object, comment: str) -> Column[object]:
    """A column of the primary key."""
    return column(name, kind, comment, primary_key=True, autoincrement=False)


def coordinates(prefix: str = "") -> list[Column[object]]:
    """The Kafka partition that a row is about."""
    return [
        column(f"{prefix}topic_id", UUID(), "Kafka's id of the topic: a re-created topic has another one"),
        column(f"{prefix}partition", Integer, "Kafka partition"),
    ]
