"""The funnel: its steps, read from one file, and the SQL that says how far a user came on a day.

What belongs here: the file's shape and what follows from it. What does not: counting users (`sql/funnel_daily.sql`).
"""

import json
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from psycopg import sql

_MOST_STEPS = 20


class FunnelError(Exception):
    """The funnel's file cannot be used; the text says what is wrong with it."""


@dataclass(frozen=True)
class Step:
    """An event of `type` whose payload holds these fields with these values."""

    name: str
    type: str
    payload: dict[str, Any] = field(default_factory=dict[str, Any])

    def condition(self, event: str) -> sql.Composed:
        """Whether a row is such an event."""
        made = sql.SQL("{}.type = {}").format(sql.Identifier(event), sql.Literal(self.type))
        if self.payload:
            made += sql.SQL(" and {}.payload @> {}::jsonb").format(
                sql.Identifier(event), sql.Literal(json.dumps(self.payload))
            )
        return sql.SQL("({})").format(made)


@dataclass(frozen=True)
class Funnel:
    """Steps that a user takes in order within a day."""

    steps: tuple[Step, ...]

    @property
    def names(self) -> list[str]:
        """Of the steps, in order."""
        return [step.name for step in self.steps]

    @cached_property
    def any_step(self) -> sql.Composed:
        """Whether event `e` is a step at all."""
        return sql.SQL("({})").format(sql.SQL(" or ").join(step.condition("e") for step in self.steps))

    def furthest(self, events: sql.Composable) -> sql.Composed:
        """A query of (user_id, day, steps): how many steps each user took in order; users without any are left out.

        Taking each step as early as possible is never worse than later, so one pass a step is enough.

        Args:
            events: a query of (user_id, day, occurred_at, event_id, type, payload).
        """
        marks = sql.SQL(", ").join(
            sql.SQL("{} as {}").format(step.condition("e"), sql.Identifier(f"s{n}"))
            for n, step in enumerate(self.steps)
        )
        passes = [_first(0)] + [_later(n) for n in range(1, len(self.steps))]
        union = sql.SQL(" union all ").join(
            sql.SQL("select user_id, day, {} as steps from {}").format(sql.Literal(n + 1), sql.Identifier(f"t{n}"))
            for n in range(len(self.steps))
        )
        return sql.SQL(
            "with numbered as materialized (select e.user_id, e.day, {marks}, row_number() over (partition by"
            " e.user_id, e.day order by e.occurred_at, e.event_id) as n from ({events}) as e where {any_step}),"
            " {passes}"
            " select user_id, day, max(steps)::smallint as steps from ({union}) as u group by user_id, day"
        ).format(marks=marks, events=events, any_step=self.any_step, passes=sql.SQL(", ").join(passes), union=union)


def _first(n: int) -> sql.Composed:
    return sql.SQL("{t} as (select user_id, day, min(n) as n from numbered where {s} group by user_id, day)").format(
        t=sql.Identifier(f"t{n}"), s=sql.Identifier(f"s{n}")
    )


def _later(n: int) -> sql.Composed:
    return sql.SQL(
        "{t} as (select x.user_id, x.day, min(x.n) as n from numbered as x inner join {before} as b"
        " on x.user_id = b.user_id and x.day = b.day and x.n > b.n where x.{s} group by x.user_id, x.day)"
    ).format(t=sql.Identifier(f"t{n}"), before=sql.Identifier(f"t{n - 1}"), s=sql.Identifier(f"s{n}"))


def read(path: Path | None = None) -> Funnel:
    """The funnel of a file, by default the one that Millrace brings.

    Raises:
        FunnelError: the file is not there, is no TOML, or names no steps.
    """
    try:
        text = path.read_text() if path else resources.files(__package__ or "").joinpath("funnel.toml").read_text()
        found = tomllib.loads(text)
        steps = tuple(Step(**each) for each in found["step"])
    except OSError as error:
        raise FunnelError(f"the funnel's file cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise FunnelError(f"the funnel's file must have [[step]] tables with name, type, payload: {error}") from None
    if not 1 <= len(steps) <= _MOST_STEPS:
        raise FunnelError(f"a funnel has 1 to {_MOST_STEPS} steps, not {len(steps)}")
    return Funnel(steps)
