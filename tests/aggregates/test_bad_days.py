"""Late events reach further than their bucket, tables are damaged, rows vanish: each is repaired, everywhere."""

import random
import string
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from assets.aggregates.catalog import COUNTED, COUNTED_BY_DAY
from assets.ingest.replay import replay
from tests.aggregates.compare import Stage
from tests.aggregates.oracle import Row
from tests.aggregates.streams import Json, at, stream
from tests.support.world import LOG

pytestmark = pytest.mark.services


def settle(stage: Stage, *events: Json) -> None:
    """Send, refresh, compare everything."""
    stage.send(*events)
    assert stage.settled() == []


def by_day(stage: Stage, column: int) -> dict[str, Any]:
    """A column of active_users_daily: 1 dau, 2 wau, 3 mau, 4 new_users."""
    return {str(row[0]): row[column] for row in stage.rows("active_users_daily")}


def flags_of(stage: Stage, event: Json) -> list[str]:
    [found] = [row[-1] for row in stage.rows("login_audit") if row[0] == UUID(event["eventId"])]
    return found


def numbered(number: int, event: Json) -> Json:
    """The event under an id that says where it stands among others of the same moment."""
    return {**event, "eventId": str(UUID(int=(number << 64) + random.getrandbits(60)))}


def test_a_late_event_that_becomes_a_users_first_moves_a_cohort_and_two_days_new_users(stage: Stage) -> None:
    settle(stage, at("2026-07-15T10:00", "ann"), at("2026-07-01T10:00", "bob"), at("2026-07-15T11:00", "bob"))
    assert by_day(stage, 4) == {"2026-07-01": 1, "2026-07-15": 1}
    settle(stage, at("2026-07-01T23:00", "ann"))
    assert by_day(stage, 4) == {"2026-07-01": 2, "2026-07-15": 0}
    first, third = date(2026, 6, 29), date(2026, 7, 13)
    assert stage.rows("retention_weekly") == [(first, first, 2, 2), (first, third, 2, 2)]


def test_a_late_event_changes_the_week_of_6_later_days_and_the_month_of_27(stage: Stage) -> None:
    settle(stage, *(at(datetime(2026, 6, 1, 12, tzinfo=UTC) + timedelta(days=n), "bob") for n in range(50)))
    before = stage.rows("active_users_daily")
    settle(stage, at("2026-06-10T03:00", "ann"))
    after = stage.rows("active_users_daily")

    def changed(column: int) -> list[int]:
        return [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old[column] != new[column]]

    assert changed(1) == changed(4) == [9]
    assert changed(2) == [*range(9, 16)]
    assert changed(3) == [*range(9, 37)]


def test_a_second_late_event_of_a_day_changes_no_count_of_users(stage: Stage) -> None:
    settle(stage, at("2026-07-01T10:00", "ann"), at("2026-07-04T10:00", "ann"), at("2026-07-06T10:00", "bob"))
    before = stage.rows("active_users_daily")
    settle(stage, at("2026-07-01T04:00", "ann"), at("2026-07-01T04:00", "ann"))
    assert stage.rows("active_users_daily") == before


def test_a_late_event_joins_two_sessions(stage: Stage) -> None:
    settle(stage, at("2026-07-15T10:00", page="/a"), at("2026-07-15T11:00", page="/b"), at("2026-07-15T10:30", "bob"))
    assert [row[0] for row in stage.rows("sessions")] == ["ann", "ann", "bob"]
    settle(stage, at("2026-07-15T10:30", kind="button_click"))
    [ann, _] = stage.rows("sessions")
    assert ann[3:] == (3, 2, "/a", "/b", False)
    assert [row[-3] for row in stage.rows("user_profiles")] == [1, 1]


def test_an_earlier_start_gives_a_session_another_id_and_leaves_none_behind(stage: Stage) -> None:
    settle(stage, at("2026-07-15T10:00"))
    [[old]] = stage.world.query("select session_id from analytics.sessions")
    settle(stage, at("2026-07-15T09:40"), at("2026-07-15T10:20"))
    assert stage.world.one("select session_id from analytics.sessions") != old


def test_sessions_that_cross_midnight_are_one(stage: Stage) -> None:
    settle(stage, at("2026-07-15T23:50"), at("2026-07-16T00:20"), at("2026-07-18T00:00"))
    assert [row[3] for row in stage.rows("sessions")] == [2, 1]
    settle(stage, at("2026-07-17T23:30"), at("2026-07-17T23:31", "bob"))
    assert [row[3] for row in stage.rows("sessions")] == [2, 2, 1]


def test_a_chain_of_late_events_makes_one_session_of_three_days(stage: Stage) -> None:
    every = [at(datetime(2026, 7, 14, 12, tzinfo=UTC) + n * timedelta(minutes=30)) for n in range(96)]
    settle(stage, *every[::2])
    assert len(stage.rows("sessions")) == 48
    settle(stage, *every[1::2])
    assert len(stage.rows("sessions")) == 1


def test_of_two_events_of_one_moment_the_place_in_kafka_decides_which_page_was_entered(stage: Stage) -> None:
    settle(stage, numbered(2, at("2026-07-15T10:00", page="/second")))
    settle(stage, numbered(1, at("2026-07-15T10:00", page="/first")))
    settle(stage, numbered(3, at("2026-07-15T10:00", page="/third")))
    assert stage.rows("sessions")[0][5:7] == ("/second", "/third")


def test_a_late_login_changes_which_later_logins_were_from_a_new_device_or_address(stage: Stage) -> None:
    first = at("2026-07-15T10:00", kind="login", device="tv", ip="::1")
    later = at("2026-07-16T10:00", kind="login", device="tv", ip="::1")
    other = at("2026-07-17T10:00", kind="login", device="car", ip="::2")
    settle(stage, first, later, other)
    assert [flags_of(stage, e) for e in (first, later, other)] == [[], [], ["new_address", "new_device"]]
    settle(stage, at("2026-06-01T10:00", kind="login", device="car", ip="::2"))
    assert [flags_of(stage, e) for e in (first, later, other)] == [["new_address", "new_device"], [], []]


def test_a_late_login_of_the_tenth_user_flags_the_logins_of_others_in_the_hour_after_it(stage: Stage) -> None:
    logins = [at(f"2026-07-15T23:{n:02}", f"user {n}", "login") for n in range(30, 39)]
    after = [at(f"2026-07-16T00:{n}", f"user {n}", "login") for n in (30, 43)]
    settle(stage, *logins, *after)
    assert not any(flags_of(stage, e) for e in [*logins, *after])
    settle(stage, at("2026-07-15T23:35:30", "late", "login"))
    assert [flags_of(stage, e) for e in logins] == [[]] * 8 + [["many_users_from_address"]]
    assert [flags_of(stage, e) for e in after] == [["many_users_from_address"], []]
    assert [row[-1] for row in stage.rows("logins_hourly")] == [1, 1]


def test_a_late_logout_ends_an_overlap_and_leaves_the_next_logout_without_a_login(stage: Stage) -> None:
    second = at("2026-07-15T12:00", kind="login", ip="192.0.2.2")
    leaving = at("2026-07-15T13:00", kind="logout")
    settle(stage, at("2026-07-15T10:00", kind="login"), second, leaving)
    assert flags_of(stage, second) == ["new_address", "overlapping_sessions"]
    settle(stage, at("2026-07-15T11:00", kind="logout"))
    assert flags_of(stage, second) == ["new_address"]
    settle(stage, at("2026-07-15T12:30", kind="logout", ip="192.0.2.2"))
    assert flags_of(stage, leaving) == ["logout_without_login"]


def test_a_late_page_view_makes_the_click_after_it_count_in_the_funnel(stage: Stage) -> None:
    settle(stage, at("2026-07-15T10:00", kind="button_click"), at("2026-07-15T11:00", kind="form_submit"))
    assert [row[-1] for row in stage.rows("funnel_daily")] == [0, 0, 0]
    settle(stage, at("2026-07-15T09:00"))
    assert [row[-1] for row in stage.rows("funnel_daily")] == [1, 1, 1]


def test_late_events_change_the_usual_device_and_equals_are_decided_by_bytes(stage: Stage) -> None:
    usual: list[Row] = []
    for day, device in ((15, "b"), (14, "é"), (13, "B"), (2, "é"), (1, "b")):
        settle(stage, at(f"2026-07-{day:02}T10:00", device=device), at(f"2026-07-{day:02}T09:00", device=""))
        usual += [row[-2] for row in stage.rows("user_profiles")]
    assert usual == ["b", "b", "B", "é", "b"]


def test_an_event_on_a_day_without_any_makes_its_rows(stage: Stage) -> None:
    settle(stage, at("2026-07-10T10:00", "ann"), at("2026-07-20T10:00", "bob"))
    settle(stage, at("2026-07-14T10:00", "bob"))
    assert by_day(stage, 2) == {"2026-07-10": 1, "2026-07-14": 2, "2026-07-20": 1}
    assert len(stage.rows("funnel_daily")) == 9


def test_an_event_that_is_years_late_repairs_what_it_touches(stage: Stage) -> None:
    settle(stage, *(at(f"2026-07-{day}T10:00", user, "login") for day in range(10, 20) for user in ("ann", "bob")))
    settle(stage, at("2025-07-15T10:00", "ann", "login", device="tv"), at("1969-12-31T23:59:59.999999", "bob"))
    assert by_day(stage, 4)["1969-12-31"] == by_day(stage, 4)["2025-07-15"] == 1
    assert by_day(stage, 4)["2026-07-10"] == 0


def test_the_first_moment_of_the_calendar_has_its_rows_too(stage: Stage) -> None:
    first = [at("0001-01-01T00:00:00", user, kind) for user in ("ann", "bob") for kind in ("login", "page_view")]
    settle(stage, at("2026-07-15T10:00", "ann"), *first[:3])
    settle(stage, first[3], at("0001-01-01T00:30:00", "ann", "login"))
    assert by_day(stage, 1) == {"0001-01-01": 2, "2026-07-15": 1}
    day = datetime(1, 1, 1, tzinfo=UTC)
    drift = stage.world.aggregates.rebuild(day, day + timedelta(days=1)).drift
    assert not any(drift.values()), drift


def test_one_batch_may_hold_many_hours_and_days(stage: Stage) -> None:
    start = datetime(2026, 6, 1, 12, tzinfo=UTC)
    settle(
        stage,
        *(
            at(start + n * timedelta(hours=3, minutes=7), f"user {n % 7}", kind)
            for n in range(200)
            for kind in ("page_view", "login")
        ),
    )
    assert len(stage.rows("active_users_daily")) > 25


def test_a_refresh_of_some_days_takes_in_these_and_leaves_the_others_marked(stage: Stage) -> None:
    stage.send(at("2026-07-10T10:00"), at("2026-07-11T10:00"), at("2026-07-12T10:00", "bob"))
    assert [pending.day.day for pending in stage.world.aggregates.pending()] == [12, 11, 10]
    stage.world.aggregates.refresh([date(2026, 7, 11)])
    assert [pending.day.day for pending in stage.world.aggregates.pending()] == [12, 10]
    assert by_day(stage, 1) == {"2026-07-11": 1}
    assert stage.inconsistent() == []
    assert stage.settled() == []


def test_a_refresh_without_marks_does_nothing(stage: Stage) -> None:
    settle(stage, *(at(f"2026-07-15T10:{n}", kind=kind) for n in range(10, 60) for kind in ("page_view", "login")))
    before = versions(stage)
    done = stage.world.aggregates.refresh()
    assert (done.marks, done.events, done.hours) == (0, 0, frozenset())
    assert versions(stage) == before


def versions(stage: Stage) -> list[Any]:
    """Where the rows lie: a row that is written again lies elsewhere."""
    tables = ("events_hourly", "pages_hourly", "active_users_daily", "sessions", "user_profiles", "login_audit")
    return [stage.world.query(f"select ctid, xmin::text from analytics.{name} order by 1") for name in tables]


def test_a_duplicate_that_comes_late_changes_nothing(stage: Stage) -> None:
    once = at("2026-07-15T10:00")
    settle(stage, once)
    before = versions(stage)
    stage.world.worker.redis.call(lambda client: client.flushall())
    settle(stage, once, once)
    assert versions(stage) == before


def test_a_rebuild_of_any_range_at_any_time_gives_the_same_rows_and_no_drift(stage: Stage) -> None:
    made = stream(21, events=300, days=3)
    settle(stage, *made.valid)
    before = stage.tables()
    for low, hours in (("2026-06-01T00:00", 1), ("2026-06-01T07:00", 30), ("2026-06-05T13:00", 500), ("2030-01-01", 5)):
        start = datetime.fromisoformat(low).replace(tzinfo=UTC)
        drift = stage.world.aggregates.rebuild(start, start + timedelta(hours=hours)).drift
        assert not any(drift.values()), drift
        assert stage.tables() == before


def test_a_rebuild_takes_in_what_is_pending_first_and_calls_none_of_it_drift(stage: Stage) -> None:
    made = stream(22, events=300, days=3)
    settle(stage, *made.valid[:150])
    stage.send(*made.valid[150:])
    assert stage.rebuild() == {}
    assert stage.settled() == []


DAMAGE = {
    **{each.name: f"update {each.table} set {each.count} = {each.count} + 1" for each in (*COUNTED, *COUNTED_BY_DAY)},
    "events_hourly": "update analytics.events_hourly set events = events + 1, users = 0 where type = 'login'",
    "pages_hourly": "delete from analytics.pages_hourly where page = '/'",
    "referrers_hourly": "update analytics.referrers_hourly set referrer = 'x' || referrer",
    "buttons_hourly": "delete from analytics.buttons_hourly",
    "forms_hourly": "insert into analytics.forms_hourly values ('2026-06-02 03:00+00', 'nothing', 1, 1)",
    "active_users_daily": "update analytics.active_users_daily set mau = 77 where day = '2026-06-01'",
    "sessions": "update analytics.sessions set ended_at = ended_at + interval '1 second', entry_page = 'x'",
    "user_profiles": "delete from analytics.user_profiles",
    "retention_weekly": "update analytics.retention_weekly set retained = retained + 1",
    "funnel_daily": "delete from analytics.funnel_daily where step = 2",
    "login_audit": "update analytics.login_audit set flags = '{burst}'",
    "logins_hourly": "update analytics.logins_hourly set addresses = addresses + 1",
}


def test_tables_that_somebody_damaged_are_repaired_by_a_rebuild_that_reports_the_drift(stage: Stage) -> None:
    settle(stage, *stream(23, events=200, days=3).valid)
    for statement in DAMAGE.values():
        stage.world.query(statement)
    assert {line.split(":")[0] for line in stage.wrong()} == DAMAGE.keys()
    assert stage.rebuild().keys() == DAMAGE.keys()
    assert stage.settled() == []


def test_a_rebuild_of_some_tables_repairs_these_and_no_others(stage: Stage) -> None:
    settle(stage, *(at(f"2026-07-15T10:{n}", f"user {n}", "login") for n in range(10, 60)))
    for table in ("events_hourly", "login_audit", "sessions"):
        stage.world.query(DAMAGE[table])
    assert stage.rebuild(["login_audit", "events_hourly"]).keys() == {"events_hourly", "login_audit"}
    assert {line.split(":")[0] for line in stage.wrong()} == {"sessions"}


def test_a_rebuild_beside_a_day_that_waits_shows_a_session_with_all_its_settled_events_and_no_drift(
    stage: Stage,
) -> None:
    """The neighbour's event is stored, and not taken in yet."""
    settle(stage, at("2026-07-15T23:50"), at("2026-07-15T12:00", "bob", "login"))
    stage.send(at("2026-07-16T00:10"), at("2026-07-16T00:00", "bob", "login"))
    day = datetime(2026, 7, 15, tzinfo=UTC)
    drift = stage.world.aggregates.rebuild(day, day + timedelta(days=1)).drift
    assert not any(drift.values()), drift
    assert stage.inconsistent() == []
    assert stage.settled() == []


# Once for each time that they were stored: no rebuild takes back what somebody deleted by hand.
COUNTED_WHEN_STORED = {"events_minutely"}


def test_rows_that_vanish_from_raw_and_come_back_by_a_replay_are_counted_once(stage: Stage) -> None:
    """They are marked by their ids: the offsets of their batch stand for other rows too."""
    settle(stage, *stream(24, events=200, days=3).valid)
    stage.world.query("delete from raw.events where mod(kafka_offset, 3) = 0")
    assert stage.rebuild().keys() >= {"events_hourly", "sessions", "login_audit"}
    replayed(stage)
    assert stage.world.one("select count(*) from ops.dirty_buckets where event_ids is not null") > 0
    assert stage.inconsistent() == []
    stage.world.refresh()
    assert {line.split(":")[0] for line in stage.wrong()} <= COUNTED_WHEN_STORED


def test_rows_that_vanish_before_they_were_taken_in_and_come_back_are_counted_once(stage: Stage) -> None:
    stage.send(*stream(25, events=200, days=3).valid)
    stage.world.query("delete from raw.events where mod(kafka_offset, 3) = 0")
    replayed(stage)
    stage.world.refresh()
    assert {line.split(":")[0] for line in stage.wrong()} <= COUNTED_WHEN_STORED
    assert stage.rebuild(["events_hourly", "login_audit"]) == {}


def replayed(stage: Stage) -> None:
    """Re-execute every run of this test."""
    runs = [run for (run,) in stage.world.query("select distinct run_id from ops.batches")]
    replay(stage.world.worker, runs, (), stage.world.author("replay"), LOG)


def test_fields_beyond_the_contract_of_any_kind_stop_nothing(stage: Stage) -> None:
    strange: list[Any] = [5, True, {"a": [None]}, ["x"], [], "".join(random.choices(string.ascii_letters, k=9_000))]
    stage.send(
        *(
            at(f"2026-07-15T10:0{n}", f"user {n}", "form_submit", device=v, ip=v, page=v, referrer=v)
            for n, v in enumerate(strange)
        )
    )
    stage.world.refresh()
    assert [row[2] for row in stage.rows("events_hourly")] == [6]
    assert stage.world.one("select count(*) from ops.dirty_buckets") == 0
