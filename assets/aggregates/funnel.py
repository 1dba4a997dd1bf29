"""The funnel: its steps, and the SQL that says how far a user came on a day.

What belongs here: what follows from the steps. What does not: reading their file (`funnel_file`), and counting users
(`sql/rebuild_funnel.sql`).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from string import ascii_lowercase
from typing import Any

from psycopg import sql


@dataclass(frozen=True)
class FunnelStep:
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

    steps: tuple[FunnelStep, ...]

    @property
    def names(self) -> list[str]:
        """Of the steps, in order."""
        return [step.name for step in self.steps]

    @cached_property
    def definition(self) -> str:
        """The same for the same steps, another for any others: what rows are known to be made by."""
        text = json.dumps([[s.name, s.type, s.payload] for s in self.steps], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def key(self) -> int:
        """The same for the same steps, another for most others: with a number of steps added still an integer."""
        return int(self.definition[:7], 16)

    @cached_property
    def any_step(self) -> sql.Composed:
        """Whether event `e` is a step at all."""
        return sql.SQL("({})").format(sql.SQL(" or ").join(step.condition("e") for step in self.steps))

    def next_step(self, taken: sql.Composable) -> sql.Composed:
        """Whether event `e` is the step after so many; null after the last one."""
        cases = (sql.SQL(" when {} then {}").format(n, step.condition("e")) for n, step in enumerate(self.steps))
        return sql.SQL("(case {}{} end)").format(taken, sql.SQL("").join(cases))

    def furthest(self, events: sql.Composable) -> sql.Composed:
        """A query of (user_id, day, steps): how many steps each user took in order; users without any are left out.

        Each step is taken as early as can be, which is never worse than later. A step counts when its time is not
        before that of the step before it. Events of one time that are in one Kafka partition count in the order of
        their offsets; of two partitions either may have been first, so both orders count, but never more steps than
        there are events at that time.

        Where each step was taken later than the one before it, the earliest times tell all. Of a day with two steps at
        one time a text of one letter a step is made, and the steps are taken in order where it holds their letters in
        order. Only days with events of one time in two partitions need more: there, one pass of window functions a
        step over the same sorted rows. Run it `joined_by_hash`: the planner knows nothing of how many these are.

        Args:
            events: a query of (user_id, day, occurred_at, type, payload, and kafka_topic_id, _partition, _offset).
        """
        # The last step first: an event that is several steps can be only one of them.
        letters = [
            sql.SQL("case when {} then {} else '' end").format(step.condition("e"), sql.Literal(letter))
            for step, letter in reversed([*zip(self.steps, ascii_lowercase, strict=False)])
        ]
        return sql.SQL(_FURTHEST).format(
            events=events,
            letters=sql.SQL(" || ").join(letters),
            any_step=self.any_step,
            times=sql.SQL("").join(_time(n) for n in range(len(self.steps))),
            reached=self._reached(),
            steps=_sum(sql.SQL("w.walk like {}").format(_in_order(n)) for n in range(len(self.steps))),
            of_ties=self._of_ties(),
        )

    def _reached(self) -> sql.Composed:
        """Users' days with a step: how many follow each other, and whether two of these were taken at one time."""
        names = [sql.Identifier(f"at{n}") for n in range(len(self.steps))]
        same = (sql.SQL(" or {}.at = {}.at").format(*pair) for pair in pairwise(names))
        return sql.SQL(
            "select user_id, day, {steps} as steps, coalesce(false{same}, false) as same_time from at0{joins}"
        ).format(
            steps=_sum(sql.SQL("{}.at is not null").format(name) for name in names),
            same=sql.SQL("").join(same),
            joins=sql.SQL("").join(sql.SQL(" left join {} using (user_id, day)").format(name) for name in names[1:]),
        )

    def _of_ties(self) -> sql.Composed:
        """The steps of users' days in which the order of events is not known."""
        marks = sql.SQL(", ").join(
            sql.SQL("strpos(e.taken, {}) > 0 as {}").format(sql.Literal(letter), sql.Identifier(f"s{n}"))
            for n, letter in enumerate(ascii_lowercase[: len(self.steps)])
        )
        rows = sql.SQL(_NUMBERED).format(marks=marks)
        for n in range(len(self.steps)):
            rows = _taken(rows, n)
        steps = _sum(sql.SQL("{} is not null").format(sql.Identifier(f"low{n}")) for n in range(len(self.steps)))
        return sql.SQL(
            "select x.user_id, x.day, {steps} as steps from ({rows}) as x where x.n = 1 and x.low0 is not null"
        ).format(steps=steps, rows=rows)


def _sum(conditions: Iterable[sql.Composed]) -> sql.Composed:
    """How many of them hold."""
    added = sql.SQL(" + ").join(sql.SQL("({})::integer").format(each) for each in conditions)
    return sql.SQL("({})::smallint").format(added)


def _time(n: int) -> sql.Composed:
    now, before = sql.Identifier(f"at{n}"), sql.Identifier(f"at{n - 1}")
    letter = sql.Literal(f"%{ascii_lowercase[n]}%")
    return sql.SQL(_NEXT_TIME if n else _FIRST_TIME).format(now=now, before=before, letter=letter)


def _in_order(n: int) -> sql.Literal:
    """A pattern of what holds the letters of the steps up to the `n`th in order."""
    return sql.Literal("%" + "%".join(ascii_lowercase[: n + 1]) + "%")


_FURTHEST = """
with stepped as materialized (
    select e.user_id, e.day, e.occurred_at, e.kafka_topic_id, e.kafka_partition, e.kafka_offset, {letters} as taken
    from ({events}) as e where {any_step}
),
{times}
reached as materialized ({reached}),
ordered as (
    select s.*, s.occurred_at = lag(s.occurred_at) over before
        and (s.kafka_topic_id, s.kafka_partition)
        is distinct from (lag(s.kafka_topic_id) over before, lag(s.kafka_partition) over before) as tied
    from stepped as s inner join reached as r on s.user_id = r.user_id and s.day = r.day and r.same_time
    window before as (
        partition by s.user_id, s.day order by s.occurred_at, s.kafka_topic_id, s.kafka_partition, s.kafka_offset
    )
),
walks as materialized (
    select o.user_id, o.day, bool_or(o.tied) as tied, string_agg(
        o.taken, '' order by o.occurred_at, o.kafka_topic_id, o.kafka_partition, o.kafka_offset
    ) as walk
    from ordered as o group by o.user_id, o.day
)
select r.user_id, r.day, r.steps from reached as r where not r.same_time
union all
select w.user_id, w.day, {steps} as steps from walks as w where w.tied is not true
union all
{of_ties}
"""
# When a step was taken at the earliest, where those before it were.
_FIRST_TIME = """
{now} as (
    select s.user_id, s.day, min(s.occurred_at) as at from stepped as s where s.taken like {letter}
    group by s.user_id, s.day
),
"""
_NEXT_TIME = """
{now} as (
    select s.user_id, s.day, min(s.occurred_at) as at
    from stepped as s inner join {before} as b on s.user_id = b.user_id and s.day = b.day
    where s.taken like {letter} and s.occurred_at >= b.at
    group by s.user_id, s.day
),
"""
# `n` counts the rows of a user's day; `tie` is the first of the same time, `lane` the first of them in one partition.
_NUMBERED = """
select q.*, count(*) over (partition by q.user_id, q.day, q.tie) as peers from (
    select e.user_id, e.day, {marks},
        row_number() over (partition by e.user_id, e.day
            order by e.occurred_at, e.kafka_topic_id, e.kafka_partition, e.kafka_offset) as n,
        rank() over (partition by e.user_id, e.day order by e.occurred_at) as tie,
        rank() over (partition by e.user_id, e.day order by e.occurred_at, e.kafka_topic_id, e.kafka_partition) as lane
    from stepped as e inner join walks as w on e.user_id = w.user_id and e.day = w.day where w.tied
) as q
"""
# `low` and `high` are the first and the last lane of the earliest time at which a step was taken, `in_tie` is how many
# steps were taken at that time.
_TAKEN = """
select y.*, {in_tie} as {in_tie_now} from (
    select x.*,
        min(array[x.tie, x.lane, x.n]) filter (where {counts}) over w as {low},
        max(array[-x.tie, x.lane]) filter (where {counts}) over w as {high}
    from ({rows}) as x window w as (partition by x.user_id, x.day)
) as y
"""
_COUNTS = """
x.{step} and (x.tie > x.{low}[1] or x.tie = x.{low}[1] and x.peers > x.{in_tie}
    and (x.lane <> x.{low}[2] or x.{high}[2] <> x.{low}[2] or x.n > x.{low}[3]))
"""
_IN_TIE = "case when y.{low}[1] = y.{before}[1] then y.{in_tie} + 1 else 1 end"


def _taken(rows: sql.Composed, n: int) -> sql.Composed:
    """The rows with where step `n` was taken, null where it was not."""
    names = {kind: sql.Identifier(f"{kind}{n}") for kind in ("low", "high", "in_tie")}
    before = {kind: sql.Identifier(f"{kind}{n - 1}") for kind in ("low", "high", "in_tie")}
    first = n == 0
    counts = sql.SQL("x.{step}" if first else _COUNTS).format(step=sql.Identifier(f"s{n}"), **before)
    in_tie = sql.SQL("1" if first else _IN_TIE).format(low=names["low"], before=before["low"], in_tie=before["in_tie"])
    return sql.SQL(_TAKEN).format(
        rows=rows, counts=counts, low=names["low"], high=names["high"], in_tie=in_tie, in_tie_now=names["in_tie"]
    )
