"""An erased user is gone from every table, stays away, may come back later, and every record stays accounted for."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from assets.ingest.worker import InjectedFailure
from assets.quality.exactness import look
from resources.kafka import Kafka, KafkaUnavailable
from tests.erasure.support import SECRET, as_text, erase, eraser, minutes_equal_raw, of, replayed, traces
from tests.support.world import World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


def history(world: World) -> None:
    """Events of two users, dead letters that name one of them, a duplicate, and everything in the aggregates."""
    mine = [of(SECRET), of(SECRET, days_ago=3), of(SECRET, kind="login")]
    world.produce(
        [
            *encoded(*mine, mine[0], of("other"), of("other", kind="login")),
            as_text(of(SECRET, type="nonsense")),
            b'{"broken": "' + SECRET.encode() + b'", ',
            b'{"broken": "not ' + SECRET.encode() + b'"}',
        ]
    )
    world.produce([b"garbage"], key=SECRET.encode())
    world.ingest()
    world.refresh()


def test_nothing_of_an_erased_user_is_left_and_others_are_untouched(world: World) -> None:
    history(world)
    assert traces(world)
    found = erase(world)
    assert (found.events, found.letters) == (3, 3)
    assert found.sessions == 2
    # The fourth dead letter holds a longer text: it names somebody else.
    assert traces(world) == {"raw.dead_letters.value": 1}
    assert world.query("select distinct user_id from raw.events") == [("other",)]
    assert world.query("select distinct user_id from analytics.sessions") == [("other",)]
    assert world.totals() == {
        "records": 10, "stored": 2, "duplicates": 1, "dead_letters": 1, "tombstones": 0, "erased": 6,
    }  # fmt: skip
    assert minutes_equal_raw(world)
    assert out_of_balance(world.reconcile()) == []


def test_an_erased_user_who_comes_back_in_the_same_hour_is_counted_again(world: World) -> None:
    """Nor is a digest left that says that this user was counted."""
    when = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    def send(*users: str) -> None:
        world.produce(encoded(*(event(timestamp=when, payload={"userId": user, "page": "/p"}) for user in users)))
        world.ingest()
        world.refresh()

    send("other")
    digests = world.one("select count(*) from ops.hour_members")
    send(SECRET)
    assert world.one("select count(*) from ops.hour_members") > digests
    erase(world)
    assert world.one("select count(*) from ops.hour_members") == digests
    send(SECRET, "other")
    assert world.query("select events, users from analytics.events_hourly") == [(3, 2)]


def test_aggregates_after_an_erasure_are_those_of_what_is_left(world: World) -> None:
    history(world)
    erase(world)
    rebuilt = world.aggregates.rebuild(
        *world.query("select min(occurred_at) - interval '4 days', now() from raw.events")[0]
    )
    assert not any(rebuilt.drift.values()), rebuilt.drift


def test_what_a_user_does_while_being_erased_stays_and_stays_counted(world: World) -> None:
    """Everything is stored between the wish and the deletion: it was sent after the wish."""
    history(world)
    since = datetime.now(UTC) - timedelta(seconds=30)
    minutes = {"login": 1, "logout": 2, "page_view": 3, "button_click": 3.5, "form_submit": 4}
    fields = {"ip": "192.0.2.1", "device": "d", "duration": 1, "page": "/p", "buttonId": "b", "formId": "f"}
    payload = {**fields, "userId": SECRET, "referrer": "", "fields": {}}
    times = {kind: (since - timedelta(minutes=4 - minute)).isoformat() for kind, minute in minutes.items()}
    later = [event(kind=kind, timestamp=at, payload=payload) for kind, at in times.items()]

    def failpoint(step: str) -> None:
        if step == "erase_asked":
            world.produce(encoded(*later))
            world.ingest()
            world.refresh()

    made = eraser(world, failpoint=failpoint)
    made.erase(SECRET)
    made.aggregates.close()
    assert world.query("select action from analytics.login_audit where user_id = %s order by 1", SECRET) == [
        ("login",),
        ("logout",),
    ]
    assert world.one("select sum(users) from analytics.logins_hourly") > 1
    assert world.one("select events from analytics.user_profiles where user_id = %s", SECRET) == 5
    assert [each.check for each in look(world.worker.postgres, None, timedelta(hours=1)) if not each.passed] == []
    rebuilt = world.aggregates.rebuild(since - timedelta(days=5), since + timedelta(hours=1))
    assert not any(rebuilt.drift.values()), rebuilt.drift
    assert out_of_balance(world.reconcile()) == []


def test_a_replay_brings_nothing_back(world: World) -> None:
    history(world)
    erase(world)
    replayed(world, (), "run-1")
    assert traces(world) == {"raw.dead_letters.value": 1}
    assert world.totals() == {
        "records": 10, "stored": 2, "duplicates": 0, "dead_letters": 1, "tombstones": 0, "erased": 7,
    }  # fmt: skip
    assert out_of_balance(world.reconcile()) == []


def test_records_that_kafka_held_unread_are_erased_on_arrival(world: World) -> None:
    world.produce(encoded(of("other")))
    world.ingest()
    dead_letter = as_text(of(SECRET, type="nonsense"))
    world.produce([*encoded(of(SECRET), of("other"), of(SECRET)), dead_letter, None, b"garbage"])
    erase(world)
    world.ingest()
    world.refresh()
    assert traces(world) == {}
    assert world.totals() == {
        "records": 7, "stored": 2, "duplicates": 0, "dead_letters": 1, "tombstones": 1, "erased": 3,
    }  # fmt: skip
    assert minutes_equal_raw(world)
    assert out_of_balance(world.reconcile()) == []


def test_a_user_who_comes_back_is_stored_and_can_be_erased_again(world: World) -> None:
    history(world)
    erase(world)
    world.produce(encoded(of(SECRET), of(SECRET)))
    world.ingest()
    world.refresh()
    assert world.one("select count(*) from raw.events where user_id = %s", SECRET) == 2
    assert world.one("select events from analytics.user_profiles where user_id = %s", SECRET) == 2
    assert out_of_balance(world.reconcile()) == []
    assert erase(world).events == 2
    assert erase(world).events == 0
    assert traces(world) == {"raw.dead_letters.value": 1}
    assert out_of_balance(world.reconcile()) == []


def test_an_event_that_is_sent_again_after_the_erasure_is_new(world: World) -> None:
    one = of(SECRET)
    world.produce(encoded(one))
    world.ingest()
    erase(world)
    world.produce(encoded(one))  # Redis remembers it, but its original is gone
    world.ingest()
    assert world.totals()["stored"] == 1
    assert world.totals()["duplicates"] == 0
    assert out_of_balance(world.reconcile()) == []


def test_an_erasure_that_was_killed_half_way_keeps_the_user_out_and_is_run_again(world: World) -> None:
    history(world)
    world.set_failpoint("erase_asked.fail")
    with pytest.raises(InjectedFailure):
        erase(world)
    world.produce(encoded(of(SECRET)))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    replayed(world, tuple(r._replace(start=0, end=10) for r in ranges))
    assert world.totals()["stored"] == 6  # nothing was deleted yet, and the replay leaves that to the erasure
    assert out_of_balance(world.reconcile()) == []
    world.set_failpoint("erase_before_commit.fail")
    with pytest.raises(InjectedFailure):
        erase(world)
    assert out_of_balance(world.reconcile()) == []
    assert erase(world).events == 4
    assert traces(world) == {"raw.dead_letters.value": 1}
    assert out_of_balance(world.reconcile()) == []


def test_the_audit_knows_the_erasure_but_not_the_user(world: World) -> None:
    history(world)
    found = erase(world)
    [(actor, action, subject, events)] = world.query(
        "select actor, action, subject, details ->> 'events' from ops.audit_log"
    )
    assert (actor, action, subject, events) == ("test", "erase", found.user, "3")
    assert SECRET not in str(world.query("select * from ops.audit_log"))


def test_without_kafka_nothing_is_erased_unless_that_is_said(world: World) -> None:
    history(world)
    world.produce(encoded(of(SECRET)))
    away = eraser(world, kafka=Kafka("127.0.0.1:1"))
    with pytest.raises(KafkaUnavailable):
        away.erase(SECRET)
    assert world.one("select count(*) from ops.erasures") == 0
    assert away.erase(SECRET, offline=True).events == 3
    away.aggregates.close()
    world.ingest()
    assert world.one("select count(*) from raw.events where user_id = %s", SECRET) == 1
    assert out_of_balance(world.reconcile()) == []


def test_erasing_while_the_ingest_runs_leaves_nothing_behind(world: World) -> None:
    """The user never stops sending; what was sent before the erasure is gone, and the books and counts are right."""
    stop = threading.Event()

    def traffic() -> None:
        worker = world.another_worker(chunk_events=50)
        while not stop.is_set():
            now = [event(payload={"userId": user, "page": "/"}) for user in (SECRET, "other") for _ in range(20)]
            world.produce(encoded(*now))
            world.ingest(worker)
        worker.close()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(traffic)
        while not world.one("select count(*) from raw.events where user_id = %s", SECRET) and not running.done():
            time.sleep(0.05)
        removed = erase(world).events
        stop.set()
        running.result()
    assert removed > 0
    reach = world.one("select up_to_offset from ops.erasures")
    assert world.one("select count(*) from raw.events where user_id = %s and kafka_offset < %s", SECRET, reach) == 0
    world.refresh()
    assert minutes_equal_raw(world)
    assert out_of_balance(world.reconcile()) == []
    last = erase(world)
    assert traces(world) == {}
    assert last.events >= 0
    assert out_of_balance(world.reconcile()) == []
