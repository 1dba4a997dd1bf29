"""Sessions are the same whatever the order and the batches that events come in, and nothing is written in vain."""

import itertools
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.aggregates import sessions
from assets.aggregates.drift import Drift
from assets.aggregates.exclusive import prepare
from assets.ingest.partitions import Partitions
from resources.postgres import Connection, commit
from tests.support.world import World

pytestmark = pytest.mark.services

GAP = timedelta(minutes=30)
MICROSECOND = timedelta(microseconds=1)
# Migrations made partitions of today and the days ahead; everything before today is in one partition.
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
NOON = TODAY + timedelta(days=2, hours=12)
STORE = """
insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset)
values (%s, %s, %s, %s, jsonb_build_object('page', %s::text), 'b0000000-0000-0000-0000-000000000000', 0, %s)
"""
ARRIVE = """
insert into arrived (event_id, occurred_at, hour, day, type, user_id, payload, position)
select event_id, occurred_at, date_trunc('hour', occurred_at, 'UTC'), (occurred_at at time zone 'UTC')::date, type,
    user_id, payload,
    ops.kafka_position(kafka_topic_id, kafka_partition, kafka_offset)
from raw.events where event_id = any(%s)
"""
READ = """
select user_id, started_at, ended_at, events, page_views, entry_page, exit_page, bounced
from analytics.sessions order by user_id, started_at
"""
STATE = "select entry_at, entry_position, exit_at, exit_position from analytics.sessions"
FORGET_STATE = """
update analytics.sessions
set entry_at = null, entry_position = null, exit_at = null, exit_position = null, merged_events = null
"""


OFFSETS = itertools.count(1_000)


class Event(NamedTuple):
    """What matters of an event here. Two at the same time follow each other by offset."""

    at: datetime
    offset: int
    event_id: uuid.UUID
    user: str = "u"
    page: str | None = None


def event(at: datetime, page: str | None = None, user: str = "u", number: int | None = None) -> Event:
    return Event(at, next(OFFSETS) if number is None else number, uuid.uuid4(), user, page)


def minutes(*offsets: float, user: str = "u", start: datetime = NOON) -> list[Event]:
    return [event(start + timedelta(minutes=m), f"/{m}", user) for m in offsets]


def expected(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """The definition, written down once more."""
    by_user: dict[str, list[list[Event]]] = defaultdict(list)
    for each in sorted(events):
        found = by_user[each.user]
        if found and each.at - found[-1][-1].at <= GAP:
            found[-1].append(each)
        else:
            found.append([each])
    rows: list[tuple[Any, ...]] = []
    for user, found in sorted(by_user.items()):
        for session in found:
            pages = [e.page for e in session if e.page is not None] or [None]
            views = sum(e.page is not None for e in session)
            rows.append(
                (
                    user,
                    session[0].at,
                    session[-1].at,
                    len(session),
                    views,
                    pages[0],
                    pages[-1],
                    views == len(session) == 1,
                )
            )
    return rows


class Site:
    """raw.events and the sessions, as the engine works on them."""

    def __init__(self, world: World) -> None:
        self.connection: Connection = world.worker.postgres.connect("test")
        prepare(self.connection)
        self.partitions = Partitions()
        self.known: list[Event] = []

    def empty(self) -> None:
        self.connection.execute("delete from raw.events; delete from analytics.sessions")
        self.known = []

    def store(self, events: Sequence[Event]) -> None:
        micros = [int(e.at.timestamp()) * 1_000_000 for e in events]
        self.partitions.ensure(self.connection, micros, TODAY.date())
        self.known += events
        rows = [
            (e.event_id, e.at, "page_view" if e.page is not None else "login", e.user, e.page, e.offset) for e in events
        ]
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(STORE, rows)

    def merge(self, events: Sequence[Event], frontier: datetime | None = None) -> dict[str, int]:
        """How many sessions more the users have."""
        self.connection.execute("begin")
        self.connection.execute(ARRIVE, ([e.event_id for e in events],))
        sessions.merge(self.connection, frontier)
        return self.changes()

    def add(self, events: Sequence[Event], frontier: datetime | None = None) -> dict[str, int]:
        self.store(events)
        return self.merge(events, frontier)

    def rebuild(self, low: datetime, high: datetime, frontier: datetime | None = None) -> Drift:
        self.connection.execute("begin")
        drift = sessions.rebuild(self.connection, low, high, frontier)
        self.changes()
        return drift

    def forget(self, user: str, frontier: datetime | None = None) -> dict[str, int]:
        self.connection.execute("begin")
        sessions.forget(self.connection, [user], frontier)
        return self.changes()

    def changes(self) -> dict[str, int]:
        found = self.connection.execute("select user_id, sum(change)::int from session_changes group by 1").fetchall()
        commit(self.connection)
        return {str(user): int(change) for user, change in found}

    def rows(self) -> list[tuple[Any, ...]]:
        return self.connection.execute(READ).fetchall()

    def versions(self) -> list[tuple[Any, ...]]:
        """Where every row stands and who wrote or locked it: the same as long as nobody touched it."""
        return self.connection.execute("select ctid::text, xmin::text, xmax::text from analytics.sessions").fetchall()


@pytest.fixture
def site(world: World) -> Iterable[Site]:
    made = Site(world)
    yield made
    made.connection.close()


def test_half_an_hour_is_one_session_and_a_microsecond_more_is_two(site: Site) -> None:
    site.add([event(NOON), event(NOON + GAP), event(NOON + 2 * GAP + MICROSECOND)])
    assert [row[1:4] for row in site.rows()] == [
        (NOON, NOON + GAP, 2),
        (NOON + 2 * GAP + MICROSECOND, NOON + 2 * GAP + MICROSECOND, 1),
    ]


def test_entry_and_exit_page_are_of_the_first_and_last_page_view_and_ties_go_by_offset(site: Site) -> None:
    later = NOON + timedelta(minutes=1)
    site.add(
        [
            event(NOON, number=1),
            event(NOON, "/second", number=3),
            event(NOON, "/first", number=2),
            event(later, "/last", number=9),
            event(later, "/other", number=8),
            event(later + GAP, number=10),
        ]
    )
    assert site.rows() == [("u", NOON, later + GAP, 6, 4, "/first", "/last", False)]


def test_a_session_without_a_page_view_has_no_pages_and_has_not_bounced(site: Site) -> None:
    site.add([event(NOON), event(NOON + GAP)])
    assert site.rows() == [("u", NOON, NOON + GAP, 2, 0, None, None, False)]


def test_who_lands_and_does_nothing_has_bounced_and_who_lands_and_acts_has_not(site: Site) -> None:
    site.add([event(NOON, "/", "idle"), event(NOON, "/", "busy"), event(NOON + MICROSECOND, user="busy")])
    assert {row[0]: row[-1] for row in site.rows()} == {"idle": True, "busy": False}


def test_the_id_depends_on_the_user_and_the_start_alone(site: Site, world: World) -> None:
    query = "select session_id from analytics.sessions"
    site.add(minutes(0))
    [first] = site.connection.execute(query).fetchall()
    site.empty()
    site.connection.execute("set timezone = 'Asia/Kathmandu'")
    site.add(minutes(0, 5, 10))
    assert site.connection.execute(query).fetchall() == [first]
    site.add(minutes(0, user="v"))
    assert world.one("select count(distinct session_id) from analytics.sessions") == 2


def test_one_late_event_joins_two_sessions_over_midnight(site: Site) -> None:
    midnight = NOON + timedelta(hours=12)
    late = minutes(0, start=midnight)
    assert site.add(minutes(-45, -25, 25, 45, start=midnight)) == {"u": 2}
    assert site.add(late) == {"u": -1}
    assert site.rows() == expected(site.known)
    assert len(site.rows()) == 1


def test_an_event_years_ago_and_one_today_touch_their_own_sessions_only(site: Site) -> None:
    site.add(minutes(0, 10, 200, 210))
    site.add([*minutes(5, start=NOON - timedelta(days=3000)), *minutes(15)])
    assert site.rows() == expected(site.known)


def test_a_rebuild_of_what_is_right_writes_nothing(site: Site) -> None:
    site.add([*minutes(0, 20, 60, 95, 200), *minutes(3, 33, 63, user="v")])
    before = site.versions()
    assert site.rebuild(TODAY, TODAY + timedelta(days=6)) == Drift(len(before), 0)
    assert site.versions() == before


def test_events_that_are_stored_but_have_not_arrived_yet_are_in_no_session(site: Site) -> None:
    first, second = minutes(0, 40, 200), minutes(20, 60, 80, 190, 500)
    site.store(second)
    site.add(first)
    assert site.rows() == expected(first)
    site.merge(second)
    assert site.rows() == expected(site.known)


def test_pages_of_equal_times_in_different_batches_go_by_offset(site: Site) -> None:
    site.add([event(NOON, "/later", number=7), event(NOON, "/sooner", number=6)])
    site.add([event(NOON, "/first", number=5), event(NOON, "/last", number=8)])
    assert site.rows() == expected(site.known)
    assert site.rows()[0][5:7] == ("/first", "/last")


def test_a_session_that_an_older_release_wrote_is_extended_and_then_knows_when_its_pages_were_seen(site: Site) -> None:
    site.add([event(NOON, "/2", number=20), event(NOON, "/1", number=19), event(NOON + GAP, "/9", number=21)])
    before = site.connection.execute(f"{STATE} order by 1").fetchall()
    site.connection.execute(FORGET_STATE)
    site.add([event(NOON, "/0", number=18), event(NOON + GAP, "/8", number=20)])
    assert site.rows() == expected(site.known)
    assert [row[0] for row in site.connection.execute(STATE)] == [row[0] for row in before]
    site.connection.execute(FORGET_STATE)
    assert site.rebuild(TODAY, TODAY + timedelta(days=6)) == Drift(1, 0)
    assert site.connection.execute(STATE).fetchone() != (None,) * 4


def test_a_session_that_an_older_release_changed_is_read_again(site: Site) -> None:
    """As after a roll-back: it extends the session, and leaves alone what it does not know."""
    site.add([event(NOON, "/1", number=3)])
    older = [event(NOON + GAP, "/2", number=4)]
    site.store(older)
    site.connection.execute("update analytics.sessions set ended_at = %s, events = 2, page_views = 2", (older[0].at,))
    site.connection.execute("update analytics.sessions set exit_page = '/2', bounced = false")
    site.add([event(NOON + GAP / 2, "/3", number=5)])
    assert site.rows() == expected(site.known)


def test_an_event_of_a_long_session_reads_none_of_its_old_events(site: Site) -> None:
    site.add(minutes(*range(0, 600, 5)))
    more = minutes(610)
    site.store(more)
    site.connection.execute("begin")
    site.connection.execute(ARRIVE, ([more[0].event_id],))
    before = scans(site)
    sessions.merge(site.connection)
    assert scans(site) == before
    commit(site.connection)
    assert site.rows() == expected(site.known)


def scans(site: Site) -> list[Any]:
    """How often each partition of raw.events was scanned in this transaction."""
    return site.connection.execute(
        "select relid, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) from pg_stat_xact_user_tables"
        " where schemaname = 'raw' order by relid"
    ).fetchall()


def test_thousands_of_events_of_many_users_over_days_in_few_batches(site: Site) -> None:
    chance = random.Random(4)
    events = [
        event(
            TODAY + timedelta(minutes=chance.randrange(3 * 24 * 60)), chance.choice([None, "/a", "/b"]), f"u{n % 300}"
        )
        for n in range(6000)
    ]
    for start in range(0, 6000, 2000):
        site.add(events[start : start + 2000])
    assert site.rows() == expected(events)
    right = len(site.rows())
    assert site.rebuild(TODAY, TODAY + timedelta(days=3)) == Drift(right, 0)


@pytest.mark.parametrize("turn", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)])
def test_pages_are_in_order_of_time_over_the_turn_of_an_epoch(site: Site, turn: datetime) -> None:
    """History that is imported is older than the times from which PostgreSQL and Unix count."""
    before, after = turn - timedelta(minutes=5), turn + timedelta(minutes=5)
    for pages in ([event(after, "/after")], [event(before, "/before"), event(turn, "/turn")]):
        site.add(pages)
        assert site.rows() == expected(site.known)
    assert site.rebuild(turn - timedelta(hours=1), turn + timedelta(hours=1)) == Drift(1, 0)
    assert site.rows() == expected(site.known)


STEPS = st.sampled_from([0, 0, 1, 10, 29, 30, 31, 45, 60, 24 * 60])
STREAMS = st.lists(
    st.tuples(STEPS, st.sampled_from(["u", "v"]), st.sampled_from([None, "/a", "/b", "/c"]), st.integers(0, 3)),
    min_size=1,
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=STREAMS, data=st.data())
def test_any_order_and_any_batches_give_the_same_sessions(site: Site, stream: list[Any], data: st.DataObject) -> None:
    site.empty()
    ats = itertools.accumulate((step for step, *_ in stream), initial=-40)
    start = TODAY + timedelta(days=1)
    events = [
        event(start + timedelta(minutes=m), page, user) for m, (_, user, page, _) in zip(ats, stream, strict=False)
    ]
    shuffled = data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(events)), max_size=4)) | {0, len(events)})
    batches = [shuffled[a:b] for a, b in itertools.pairwise(cuts)]
    early = data.draw(st.booleans())
    if early:
        site.store(shuffled)
    changes: dict[str, int] = defaultdict(int)
    taken: list[Event] = []
    for batch in batches:
        for user, change in (site.merge if early else site.add)(batch).items():
            changes[user] += change
        taken += batch
        assert site.rows() == expected(taken)
    assert site.rows() == expected(events)
    by_user = {user: len(list(rows)) for user, rows in itertools.groupby(site.rows(), key=lambda row: row[0])}
    assert {user: change for user, change in changes.items() if change} == by_user
    low = start + timedelta(minutes=data.draw(st.sampled_from([-60, -30, 0, 60])))
    high = low + timedelta(hours=data.draw(st.sampled_from([1, 3, 24, 100])))
    whole = [row for row in site.rows() if row[1] < high and row[2] >= low]
    assert site.rebuild(low, high) == Drift(len(whole), 0)
    site.connection.execute("delete from analytics.sessions where started_at < %s and ended_at >= %s", (high, low))
    assert site.rebuild(low, high) == Drift(len(whole), len(whole))
    assert site.rows() == expected(events)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=STREAMS, data=st.data())
def test_a_rebuild_mends_whatever_is_wrong_in_its_range(site: Site, stream: list[Any], data: st.DataObject) -> None:
    """Rows as another set of events would have left them: joined wrongly, cut wrongly, missing, too many."""
    site.empty()
    start = TODAY + timedelta(days=1)
    ats = list(itertools.accumulate((min(step, 60) for step, *_ in stream), initial=-40))
    made = [
        (event(start + timedelta(minutes=m), page, user), fate)
        for m, (_, user, page, fate) in zip(ats, stream, strict=False)
    ]
    site.add([e for e, _ in made])
    gone = [e.event_id for e, fate in made if fate == 0]
    site.connection.execute("delete from raw.events where event_id = any(%s)", (gone,))
    site.store([e._replace(event_id=uuid.uuid4(), at=e.at + GAP / 2) for e, fate in made if fate == 1])
    site.known = [e for e in site.known if e.event_id not in gone]
    low = start + timedelta(minutes=data.draw(st.sampled_from([-60, 0, 60, 90])))
    high = low + timedelta(hours=data.draw(st.sampled_from([1, 2, 24])))
    site.rebuild(low, high)
    found, right = (
        [row for row in rows if row[1] < high and row[2] >= low] for rows in (site.rows(), expected(site.known))
    )
    assert found == right


def test_a_session_of_days_is_whole_after_a_rebuild_of_one_of_them(site: Site) -> None:
    days = minutes(*range(0, 4 * 24 * 60, 25), start=TODAY + timedelta(hours=1))
    site.store(days)
    assert site.rebuild(TODAY + timedelta(days=2), TODAY + timedelta(days=3)) == Drift(1, 1)
    assert site.rows() == expected(days)


def test_a_forgotten_user_has_the_sessions_that_are_left_and_nobody_else_loses_any(site: Site) -> None:
    site.add([*minutes(0, 10, 100, 1000), *minutes(0, 50, user="v")])
    site.connection.execute("delete from raw.events where user_id = 'u' and occurred_at < %s", (NOON + GAP * 10,))
    site.known = [e for e in site.known if e.user == "v" or e.at > NOON + GAP * 10]
    assert site.forget("u") == {"u": -2}
    assert site.rows() == expected(site.known)


def test_sessions_behind_the_frontier_are_frozen(site: Site) -> None:
    frontier = TODAY + timedelta(days=2)
    events = minutes(-100, -20, 5, 20, 45, 120, start=frontier)
    site.add(events)
    before = site.rows()
    site.connection.execute("delete from raw.events where occurred_at < %s", (frontier,))
    late = minutes(-200, -10, 10, start=frontier)
    site.add(late, frontier)
    assert site.rows() == before
    assert site.rebuild(frontier - timedelta(days=1), frontier + timedelta(days=1), frontier) == Drift(1, 0)
    assert site.rows() == before
    site.add(minutes(60, start=frontier), frontier)  # after the frozen session, though within half an hour of it
    assert site.rows()[2][1:4] == (frontier + GAP * 2, frontier + GAP * 2, 1)
    assert site.rebuild(frontier, frontier + timedelta(days=1), frontier) == Drift(2, 0)


def locked(site: Site) -> set[str]:
    """The partitions that this transaction has planned or read: each plan locks what it keeps, and nothing else."""
    query = "select relation::regclass::text from pg_locks where pid = pg_backend_pid() and relation is not null"
    return {name for [name] in site.connection.execute(query).fetchall() if name in partitions(site)}


def partitions(site: Site) -> set[str]:
    query = "select inhrelid::regclass::text from pg_inherits where inhparent = 'raw.events'::regclass"
    return {name for [name] in site.connection.execute(query).fetchall()}


def test_a_rebuild_reads_the_partitions_of_its_days_only(site: Site) -> None:
    days = [TODAY + timedelta(days=n) for n in range(7)]
    site.add([e for day in days for e in minutes(60, 1435, start=day)])
    arrived = [*minutes(70, start=days[1]), *minutes(10, start=days[5])]
    site.store(arrived)
    site.merge(arrived)
    assert site.rows() == expected(site.known)
    site.connection.execute("begin")
    sessions.rebuild(site.connection, days[3] + timedelta(hours=1), days[4] - timedelta(hours=2))
    assert locked(site) == {f"raw.events_{days[3]:%Y%m%d}"}
    commit(site.connection)
