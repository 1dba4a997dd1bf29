"""Random streams with late events for hours whose members were dropped: every table is what pandas makes of the events.

The newest day takes the slot of the day eight days before it, and with it who is counted in that day's hours. Each
example sends events, takes the slots by newer days, and then mixes late events with refreshes (of all groups of tables
or of one), erasures and rebuilds. `make fuzz` runs more of them (STREAM_EXAMPLES).

What belongs here: streams around dropped members. What does not: fixed cases of theirs (`test_hour_members`), and
streams of every kind (`test_against_pandas`).
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assets.aggregates.marks import GROUPS
from tests.aggregates.compare import Stage
from tests.aggregates.streams import Json, at
from tests.aggregates.work import one_group
from tests.erasure.support import erase

pytestmark = pytest.mark.services

EXAMPLES = int(os.environ.get("STREAM_EXAMPLES", "6"))
# An example takes a second or two, so that making one smaller takes minutes: not within the time of a test.
PHASES = set(Phase) - (set() if "STREAM_EXAMPLES" in os.environ else {Phase.shrink})
DAY = datetime(2026, 7, 15, tzinfo=UTC)
EARLY, NEWER = (-32, 0, 1), (8, 9, 16)
"""Days after DAY. Newer ones take the slots of the early ones; -32 is in the partition of everything that is old."""
MICRO = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
MOMENTS = [
    *(-20 * MINUTE, -MICRO, timedelta(0), 10 * MINUTE, 30 * MINUTE - MICRO, 30 * MINUTE, 61 * MINUTE),
    *(600 * MINUTE, 605 * MINUTE, 625 * MINUTE, 630 * MINUTE, 635 * MINUTE + MICRO, 655 * MINUTE, 700 * MINUTE),
]
"""After midnight, or before it: within a session, at its borders, beyond them, in the next hour."""
KINDS: list[tuple[str, dict[str, str]]] = [
    *(("page_view", {"page": page, "referrer": "https://search.example/"}) for page in ("/", "/a")),
    *(("button_click", {"buttonId": "buy"}), ("form_submit", {}), ("logout", {"ip": "192.0.2.2"})),
    *(("login", {"ip": ip, "device": device}) for ip, device in (("192.0.2.1", "phone"), ("192.0.2.2", "tablet"))),
]
USERS = ["ann", "bob"]
HOUR = 3600
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
SHIFTS = [timedelta(0), timedelta(0), timedelta(0), -MICRO, MICRO, 5 * MINUTE, 30 * MINUTE]


class Play(NamedTuple):
    """What is sent before and after the slots are taken, what happens then, and how many events a transaction has."""

    first: list[Json]
    newer: list[Json]
    steps: Sequence[tuple[str, Any]]
    at_once: int


@st.composite
def plays(draw: st.DrawFn) -> Play:
    """All events lie around few spots, a day and a moment and a kind: so they meet often."""
    early, newer = (_events(draw(st.lists(_spots(days), min_size=1, max_size=3))) for days in (EARLY, NEWER))
    late = st.one_of(early, early, newer).map(lambda sent: ("send", sent))
    other = st.one_of(
        st.just(("refresh", None)),
        st.tuples(st.just("one group"), st.sampled_from(GROUPS)),
        st.tuples(st.just("erase"), st.sampled_from(USERS)),
        st.tuples(st.just("rebuild"), st.tuples(st.sampled_from((*EARLY, *NEWER)), st.sampled_from([1, 24, 60]))),
        st.tuples(st.just("mend"), st.sampled_from((*EARLY, *NEWER))),
        st.just(("refresh beside a reader", None)),
    )
    steps = st.lists(st.one_of(late, late, other), min_size=6, max_size=12)
    return Play(draw(early), draw(newer), draw(steps), draw(st.sampled_from([1, 4, 200_000])))


def _spots(days: Sequence[int]) -> st.SearchStrategy[tuple[datetime, tuple[str, dict[str, str]]]]:
    moments = st.tuples(st.sampled_from(days), st.sampled_from(MOMENTS))
    return st.tuples(moments.map(lambda m: DAY + timedelta(days=m[0]) + m[1]), st.sampled_from(KINDS))


def _events(spots: Sequence[tuple[datetime, tuple[str, dict[str, str]]]]) -> st.SearchStrategy[list[Json]]:
    """Around these; one of four is of another kind than its spot."""
    kinds = st.one_of(st.none(), st.none(), st.none(), st.sampled_from(KINDS))
    one = st.tuples(st.sampled_from(spots), st.sampled_from(SHIFTS), st.sampled_from(USERS), kinds)

    def made(drawn: tuple[Any, timedelta, str, Any]) -> Json:
        (moment, usual), shift, user, other = drawn
        kind, payload = other or usual
        return at(moment + shift, user, kind, **payload)

    return st.lists(one.map(made), min_size=1, max_size=6)


@settings(max_examples=EXAMPLES, deadline=None, phases=PHASES, suppress_health_check=SUPPRESSED)
@given(play=plays())
def test_late_events_of_hours_without_members_count_once_in_every_table(stage: Stage, play: Play) -> None:
    stage.clear()
    stage.world.aggregates.events_per_transaction = play.at_once
    for sent in ([*play.first, at(DAY, "ann")], [*play.newer, at(DAY + timedelta(days=8), "ann")]):
        stage.send(*sent)
        stage.world.refresh()
    assert not tracked(stage, DAY)
    for what, which in play.steps:
        DO[what](stage, which)
        assert what == "send" or stage.inconsistent() == [], what
    assert stage.settled() == []
    assert stage.rebuild() == {}


def tracked(stage: Stage, day: datetime) -> bool:
    """Whether it is known who is counted in any hour of a day."""
    first = round(day.timestamp()) // HOUR
    return bool(
        stage.world.one("select count(*) from ops.hour_members where hour >= %s and hour < %s", first, first + 24)
    )


def erased(stage: Stage, user: str) -> None:
    """What the user did is gone; what the user does from now on counts."""
    erase(stage.world, user)
    for event_id in [e.event_id for e in stage.sent.values() if e.user_id == user]:
        del stage.sent[event_id]


def rebuilt(stage: Stage, which: tuple[int, int]) -> None:
    """A range of hours; nothing was wrong."""
    day, hours = which
    low = DAY + timedelta(days=day, hours=-1)
    drift = stage.world.aggregates.rebuild(low, low + timedelta(hours=hours)).drift
    assert not any(drift.values()), drift


def mended(stage: Stage, day: int) -> None:
    """Rows of a day were wrong, and a rebuild mends them: their hours have no members from then on."""
    low = DAY + timedelta(days=day)
    stage.world.refresh()
    wrong = "update analytics.pages_hourly set users = users + 1 where hour >= %s and hour < %s returning 1"
    rows = len(stage.world.query(wrong, low, low + timedelta(days=1)))
    drift = stage.world.aggregates.rebuild(low, low + timedelta(days=1)).drift
    assert {name: n for name, n in drift.items() if n} == ({"pages_hourly": rows} if rows else {})


def beside_a_reader(stage: Stage, _: None) -> None:
    """As a backup: no slot can be emptied meanwhile."""
    with psycopg.connect(stage.world.settings.postgres_url) as reader:
        reader.execute("select count(*) from ops.hour_members")
        stage.world.refresh()


DO: dict[str, Callable[[Stage, Any], Any]] = {
    "send": lambda stage, sent: stage.send(*sent),
    "refresh": lambda stage, _: stage.world.refresh(),
    "one group": lambda stage, group: one_group(stage.world.aggregates, group),
    "erase": erased,
    "rebuild": rebuilt,
    "mend": mended,
    "refresh beside a reader": beside_a_reader,
}
