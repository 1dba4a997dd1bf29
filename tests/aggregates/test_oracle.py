"""The oracle itself, by hand-made cases: input rows, expected rows. It needs no services."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.aggregates.oracle import event_of, tables
from tests.aggregates.streams import Json, at

DAY = date(2026, 7, 15)


def rows(name: str, *events: Json) -> list[tuple[Any, ...]]:
    return tables(event_of(e) for e in events)[name]


def time(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 7, 15, hour, minute, second, tzinfo=UTC)


def flags(*events: Json) -> list[list[str]]:
    """Of each event in order of time."""
    return [row[-1] for row in sorted(rows("login_audit", *events), key=lambda row: (row[1], row[0]))]


def login(minute: float, ip: str = "192.0.2.1", user: str = "ann", kind: str = "login", **payload: Any) -> Json:
    return at(time(12) + timedelta(minutes=minute), user, kind, ip=ip, **payload)


def test_hourly_tables_count_events_and_distinct_users() -> None:
    events = [
        at("2026-07-15T10:00", "ann", page="/a", referrer=""),
        at("2026-07-15T10:59:59.999999", "ann", page="/a", referrer=None),
        at("2026-07-15T10:30", "bob", page="/a"),
        at("2026-07-15T11:00", "bob", page="/a", referrer="https://x.example/"),
    ]
    ten, eleven = time(10), time(11)
    assert rows("events_hourly", *events) == [(ten, "page_view", 3, 2), (eleven, "page_view", 1, 1)]
    assert rows("pages_hourly", *events) == [(ten, "/a", 3, 2), (eleven, "/a", 1, 1)]
    assert rows("referrers_hourly", *events) == [(ten, "", 3, 2), (eleven, "https://x.example/", 1, 1)]
    assert [row[0].minute for row in rows("events_minutely", *events)] == [0, 30, 59, 0]


def test_active_users_look_back_7_and_28_days() -> None:
    events = [at(f"2026-07-{day:02}T12:00", user) for day, user in ((1, "old"), (8, "ann"), (14, "bob"), (28, "cid"))]
    events.append(at("2026-07-29T00:00", "cid"))
    assert rows("active_users_daily", *events) == [
        (date(2026, 7, 1), 1, 1, 1, 1, 0, 1.0),
        (date(2026, 7, 8), 1, 1, 2, 1, 0, 0.5),
        (date(2026, 7, 14), 1, 2, 3, 1, 0, 1 / 3),
        (date(2026, 7, 28), 1, 1, 4, 1, 0, 0.25),
        (date(2026, 7, 29), 1, 1, 3, 0, 1, 1 / 3),
    ]


def test_a_gap_of_more_than_30_minutes_begins_a_session() -> None:
    events = [
        at("2026-07-15T10:00", page="/in"),
        at("2026-07-15T10:30", page="/out"),
        at("2026-07-15T11:00:00.000001", kind="login"),
    ]
    late = datetime(2026, 7, 15, 11, 0, 0, 1, tzinfo=UTC)
    assert rows("sessions", *events) == [
        ("ann", time(10), time(10, 30), 2, 2, "/in", "/out", False),
        ("ann", late, late, 1, 0, None, None, False),
    ]


def test_a_profile_names_the_usual_device_and_among_equals_the_first_by_bytes() -> None:
    events = [
        at("2026-07-15T10:00", kind="login", device="b", ip="192.0.2.1"),
        at("2026-07-15T10:01", device="B"),
        at("2026-07-15T10:02", device=""),
        at("2026-07-15T10:03", kind="logout", ip="192.0.2.2"),
        at("2026-07-15T10:04", kind="form_submit", ip="192.0.2.2"),
    ]
    assert rows("user_profiles", *events) == [
        ("ann", time(10), time(10, 4), 5, 1, 2, 0, 1, 1, "B", "192.0.2.2"),
    ]


def test_retention_counts_who_of_a_cohort_came_in_a_week() -> None:
    events = [at(f"2026-07-{day:02}T00:00", user) for day, user in ((6, "ann"), (12, "bob"), (13, "cid"), (26, "bob"))]
    first, second, fourth = date(2026, 7, 6), date(2026, 7, 13), date(2026, 7, 20)
    assert rows("retention_weekly", *events) == [(first, first, 2, 2), (first, fourth, 2, 1), (second, second, 1, 1)]


def test_a_funnel_wants_its_steps_in_order_within_the_day() -> None:
    kinds = {
        "all": ("form_submit", "page_view", "button_click", "form_submit"),
        "two": ("button_click", "form_submit", "page_view", "button_click"),
        "one": ("button_click", "form_submit", "page_view"),
        "none": ("button_click", "form_submit"),
    }
    events = [at(f"2026-07-15T10:{n:02}", u, kind) for u, steps in kinds.items() for n, kind in enumerate(steps)]
    events.append(at("2026-07-16T00:00", "one", "button_click"))
    assert [row[:2] + row[3:] for row in rows("funnel_daily", *events)] == [
        *((DAY, 1, 3), (DAY, 2, 2), (DAY, 3, 1)),
        *((date(2026, 7, 16), step, 0) for step in (1, 2, 3)),
    ]


TEN_USERS = [login(n * 6, user=f"user {n}") for n in range(10)]


@pytest.mark.parametrize(
    ("events", "flag", "expected"),
    [
        ([login(0), login(1, device="tv"), login(2, device=""), login(3, device="tv")], "new_device", [0, 1, 0, 0]),
        ([login(0), login(99, "::1"), login(999, "::1")], "new_address", [0, 1, 0]),
        (TEN_USERS, "many_users_from_address", [0] * 9 + [1]),
        ([*TEN_USERS[1:], login(60, user="late")], "many_users_from_address", [0] * 9 + [1]),
        ([*TEN_USERS[:9], login(60, user="late")], "many_users_from_address", [0] * 10),
        (
            [login(m, f"192.0.2.{n}") for n, m in enumerate((0, 1, 59, 60, 60.5, 90, 120))],
            "many_addresses_for_user",
            [0, 0, 0, 0, 1, 1, 0],
        ),
        ([login(m, "192.0.2.7") for m in (0, 0.2, 0.4, 0.6, 0.9, 1.3)], "burst", [0, 0, 0, 0, 1, 0]),
        ([login(0), login(9, "::1"), login(719, "::1"), login(729, "::1")], "overlapping_sessions", [0, 1, 1, 0]),
        ([login(0), login(1, kind="logout"), login(2, "::1")], "overlapping_sessions", [0, 0, 0]),
        ([login(0), login(1, "::1", kind="logout"), login(2, "::1")], "overlapping_sessions", [0, 0, 1]),
        ([login(0), login(1, kind="logout"), login(2, kind="logout")], "logout_without_login", [0, 0, 1]),
        ([login(0), login(720, kind="logout")], "logout_without_login", [0, 1]),
        ([login(0), login(719, "::1", kind="logout")], "logout_without_login", [0, 0]),
    ],
)
def test_logins_are_flagged(events: list[Json], flag: str, expected: list[int]) -> None:
    assert [int(flag in found) for found in flags(*events)] == expected


def test_logins_by_hour_count_users_addresses_and_flags() -> None:
    events = [login(0), login(1, "::1"), login(2, user="bob", kind="logout"), at("2026-07-15T12:30", "cid")]
    assert rows("logins_hourly", *events) == [(time(12), 2, 1, 2, 2, 2)]


def test_what_happens_at_one_moment_is_ordered_by_the_place_in_kafka() -> None:
    views = [
        event_of(at("2026-07-15T10:00", page=p))._replace(topic_partition=(0, n)) for p, n in (("/2", 2), ("/1", 1))
    ]
    views.append(event_of(at("2026-07-15T10:00", page="/3"))._replace(topic_partition=(1, 0)))
    [session] = tables(views)["sessions"]
    assert session[5:7] == ("/1", "/3")


@pytest.mark.parametrize(
    ("places", "steps"),
    [
        ([(0, 0), (0, 1), (0, 2)], 3),
        ([(0, 2), (0, 1), (0, 0)], 1),
        ([(0, 0), (0, 2), (0, 1)], 2),
        ([(2, 5), (1, 4), (0, 3)], 3),
        ([(0, 9), (1, 0), (1, 1)], 3),
    ],
)
def test_steps_of_one_moment_count_in_the_order_of_a_partition_and_in_any_across(
    places: list[tuple[int, int]], steps: int
) -> None:
    kinds = ("page_view", "button_click", "form_submit")
    events = [
        event_of(at("2026-07-15T10:00", kind=k))._replace(topic_partition=p) for k, p in zip(kinds, places, strict=True)
    ]
    assert [row[3] for row in tables(events)["funnel_daily"]] == [1] * steps + [0] * (3 - steps)


def test_no_events_make_no_rows() -> None:
    assert set(map(len, tables([]).values())) == {0}
