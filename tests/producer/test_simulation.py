"""The simulated people behave like people, and always the same way for the same seed."""

from collections import Counter, defaultdict
from ipaddress import ip_address
from itertools import pairwise

import pytest

from producer.population import Population, user
from producer.simulation import SimulatedEvent, Simulation
from producer.site import EXTERNAL, Site
from producer.timing import lag
from tests.producer.support import DAY, HOUR, MS, START_US, events


def visits(stream: list[SimulatedEvent]) -> list[list[SimulatedEvent]]:
    """The stream cut into visits: a login begins one."""
    by_user: dict[str, list[list[SimulatedEvent]]] = defaultdict(list)
    for event in stream:
        if event.type == "login":
            by_user[event.user_id].append([])
        by_user[event.user_id][-1].append(event)
    return [visit for found in by_user.values() for visit in found]


@pytest.fixture(scope="module")
def stream() -> list[SimulatedEvent]:
    return events(40_000)


def test_same_seed_and_times_give_the_same_events_and_another_seed_does_not():
    assert events(2_000, seed="a") == events(2_000, seed="a")
    assert events(2_000, seed="a") != events(2_000, seed="b")


def test_who_people_are_does_not_depend_on_the_seed():
    homes = {user.user_id: user.ip for user in (user(number) for number in range(100))}
    assert homes == {user(number).user_id: user(number).ip for number in range(100)}


def test_every_visit_begins_with_a_login_and_nothing_follows_a_logout(stream: list[SimulatedEvent]):
    for visit in visits(stream):
        types = [event.type for event in visit]
        assert types[0] == "login"
        assert "login" not in types[1:]
        assert "logout" not in types[:-1]
        assert len(types) == 1 or types[1] == "page_view"


def test_the_duration_of_a_logout_is_the_time_since_the_login(stream: list[SimulatedEvent]):
    ended = [visit for visit in visits(stream) if visit[-1].type == "logout"]
    assert len(ended) > 1_000
    for visit in ended:
        seconds = (visit[-1].at_us - visit[0].at_us) / 1e6
        assert visit[-1].payload["duration"] == pytest.approx(seconds, abs=0.001)
        assert visit[-1].payload["ip"] == visit[0].payload["ip"]


def test_times_never_go_back_within_a_visit(stream: list[SimulatedEvent]):
    for visit in visits(stream):
        assert all(before.at_us < after.at_us for before, after in pairwise(visit))


def test_referrers_lead_from_page_to_page(stream: list[SimulatedEvent]):
    for visit in visits(stream):
        views = [event.payload for event in visit if event.type == "page_view"]
        assert all(after["referrer"] == before["page"] for before, after in pairwise(views))
        assert not views or views[0]["referrer"] in ("", *EXTERNAL)


def test_buttons_and_forms_belong_to_the_page_that_is_open(stream: list[SimulatedEvent]):
    pages = {page.path: page for page in Site().pages}
    for visit in visits(stream):
        here = ""
        for event in visit:
            if event.type == "page_view":
                here = event.payload["page"]
            elif event.type == "button_click":
                assert event.payload["page"] == here
                assert event.payload["buttonId"] in pages[here].buttons
            elif event.type == "form_submit":
                assert event.payload["formId"] == pages[here].form


def test_all_five_types_come_in_believable_proportions(stream: list[SimulatedEvent]):
    share = {name: count / len(stream) for name, count in Counter(event.type for event in stream).items()}
    assert 0.35 < share["page_view"] < 0.55
    assert 0.15 < share["button_click"] < 0.35
    assert 0.02 < share["form_submit"] < 0.15
    assert 0.05 < share["logout"] < share["login"] < 0.25


def test_forms_carry_nested_values_numbers_and_text_beyond_ascii(stream: list[SimulatedEvent]):
    fields = [event.payload["fields"] for event in stream if event.type == "form_submit"]
    values = [value for each in fields for value in each.values()]
    assert {dict, list, str, int, float, bool, type(None)} <= {type(value) for value in values}
    assert any(isinstance(value, str) and not value.isascii() for value in values)


def test_some_pages_and_some_people_are_far_more_popular(stream: list[SimulatedEvent]):
    for counts in (
        Counter(event.payload["page"] for event in stream if event.type == "page_view"),
        Counter(event.user_id for event in stream if event.type == "login"),
    ):
        ranked = sorted(counts.values(), reverse=True)
        assert ranked[0] > 5 * ranked[len(ranked) // 2]


def test_people_mostly_use_their_usual_device_and_address_and_some_share_one(stream: list[SimulatedEvent]):
    logins = [event.payload for event in stream if event.type == "login"]
    at_home = sum(login["ip"] == user(int(login["userId"][1:])).ip for login in logins)
    usual = sum(login["device"] == user(int(login["userId"][1:])).devices[0] for login in logins)
    assert 0.80 < at_home / len(logins) < 0.95
    assert 0.88 < usual / len(logins) < 0.99
    behind = defaultdict[str, set[str]](set)
    for login in logins:
        behind[str(ip_address(login["ip"]))].add(login["userId"])
    assert max(len(users) for users in behind.values()) >= 5


def test_more_visits_begin_in_the_afternoon_than_at_night_at_the_same_rate_of_events():
    simulation = Simulation(Population(10_000), "day", 1.0)
    midnight = START_US - 14 * HOUR
    day = [simulation.next(midnight + number * 2_000 * MS) for number in range(43_200)]
    hours = Counter((event.at_us - midnight) // HOUR for event in day if event.type == "login")
    afternoon, night = sum(hours[hour] for hour in range(13, 18)), sum(hours[hour] for hour in range(1, 6))
    assert afternoon > 1.6 * night


def test_one_person_alone_has_one_visit_after_the_other():
    stream = events(500, users=1)
    assert {event.user_id for event in stream} == {"u000000"}
    assert len(visits(stream)) > 20


def test_a_late_visit_is_late_as_a_whole():
    simulation = Simulation(Population(10_000), "late", 50.0, lag=lag)
    stream = [simulation.next(START_US + number * MS) for number in range(5_000)]
    behind = [START_US + number * MS - event.at_us for number, event in enumerate(stream)]
    assert min(behind) >= 120_000_000
    assert max(behind) <= 7 * DAY
    assert sum(each > HOUR for each in behind) > 1_000
    assert sum(each < HOUR for each in behind) > 1_000
    for visit in visits(stream):
        if visit[-1].type == "logout":
            assert visit[-1].payload["duration"] < 5
