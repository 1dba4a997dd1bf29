"""Bad days: processes killed and frozen at named points, services that stop, hang or forget, two runs of one range."""

import os
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from assets.ingest import store as store_module
from assets.ingest.retry import StorageFailed
from resources.postgres import Connection
from tests.support.world import World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Generator["subprocess.Popen[str]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def wait_until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def two_partitions(world: World) -> None:
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    admin.create_partitions([NewPartitions(world.topic, 2)])[world.topic].result()
    wait_until(lambda: len(world.worker.kafka.available([world.topic])) == 2)


@pytest.mark.parametrize("point", ["during_copy", "after_copy", "before_commit", "after_commit"])
def test_a_worker_killed_at_a_named_point_leaves_every_event_once(world: World, point: str) -> None:
    world.produce([*encoded(*(event() for _ in range(300))), b"garbage", None])
    world.set_failpoint(f"{point}.kill")
    with ended(world.run_elsewhere(MILLRACE_CHUNK_EVENTS="100")) as run:
        assert run.wait(60) == -signal.SIGKILL
    for ranges in world.plans():
        world.ingest(ranges=ranges)
    assert world.totals() == {"records": 302, "stored": 300, "duplicates": 0, "dead_letters": 1, "tombstones": 1}
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.parametrize("point", ["during_copy", "before_commit"])
def test_a_frozen_worker_is_replaced_and_does_no_harm_when_it_wakes(world: World, point: str) -> None:
    world.produce(encoded(*(event() for _ in range(200))))
    [ranges] = world.plans()
    world.set_failpoint(f"{point}.stop")
    with ended(world.run_elsewhere(ranges)) as frozen:
        wait_until(lambda: stopped(frozen.pid))
        world.ingest(world.another_worker(progress_timeout=timedelta(seconds=1)), ranges)
        assert world.totals()["stored"] == 200
        os.kill(frozen.pid, signal.SIGCONT)
        frozen.communicate(timeout=60)
    assert world.totals()["stored"] == 200
    assert out_of_balance(world.reconcile()) == []


def test_two_lanes_that_store_the_same_ids_in_opposite_orders_never_deadlock(world: World) -> None:
    two_partitions(world)
    same = encoded(*(event() for _ in range(4_000)))
    world.produce(same, partition=0)
    world.produce(reversed(same), partition=1)
    name = world.settings.postgres_url.rsplit("/", 1)[1]
    plans = world.plans(lanes=2)
    assert len(plans) == 2
    with ThreadPoolExecutor(2) as pool:
        workers = [world.another_worker(chunk_events=500) for _ in plans]
        list(pool.map(world.ingest, workers, plans))
    for ranges in world.plans(lanes=2):
        world.ingest(ranges=ranges)
    assert world.one("select deadlocks from pg_stat_database where datname = %s", name) == 0
    assert world.totals()["stored"] == 4_000
    assert out_of_balance(world.reconcile()) == []


def mixture() -> list[bytes]:
    """Events, some of them twice."""
    values = encoded(*(event() for _ in range(300)))
    return values + values[:50]


def test_what_is_stored_is_the_same_when_redis_is_down(world: World) -> None:
    world.produce(mixture())
    world.ingest(world.another_worker(redis_url="redis://127.0.0.1:1/0"))
    assert world.totals() == {"records": 350, "stored": 300, "duplicates": 50, "dead_letters": 0, "tombstones": 0}
    assert world.one("select bool_and(dedup_degraded) from ops.batches")


def test_what_is_stored_is_the_same_when_redis_hangs(world: World) -> None:
    world.produce(mixture())
    world.services.pause("redis")
    try:
        world.ingest(world.another_worker(chunk_events=100))
    finally:
        world.services.resume("redis")
    assert world.totals() == {"records": 350, "stored": 300, "duplicates": 50, "dead_letters": 0, "tombstones": 0}
    assert world.one("select bool_and(dedup_degraded) from ops.batches")


def test_what_is_stored_is_the_same_when_redis_is_emptied_in_the_middle(world: World) -> None:
    values = mixture()
    world.produce(values)
    world.ingest()
    world.worker.redis.call(lambda client: client.flushall())
    world.produce(values)
    world.ingest()
    assert world.totals() == {"records": 700, "stored": 300, "duplicates": 400, "dead_letters": 0, "tombstones": 0}
    assert out_of_balance(world.reconcile()) == []


def test_a_claim_whose_owner_was_never_stored_loses_nothing(world: World) -> None:
    """The owner's batch is rolled back after the claim; its duplicate, elsewhere, is ingested first."""
    two_partitions(world)
    [value] = encoded(event())
    world.produce([value], partition=0)
    world.produce([value], partition=1)
    owner, other = (ranges for ranges in world.plans(lanes=2))
    world.set_failpoint("before_commit.fail")
    with pytest.raises(Exception, match="before_commit"):
        world.ingest(ranges=owner)
    world.ingest(ranges=other)
    assert world.totals()["stored"] == 1
    world.ingest(ranges=owner)
    assert world.totals() == {"records": 2, "stored": 1, "duplicates": 1, "dead_letters": 0, "tombstones": 0}
    assert out_of_balance(world.reconcile()) == []


def test_a_connection_that_dies_during_commit_leaves_every_event_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.produce(encoded(*(event() for _ in range(100))))
    real, deaths = store_module.commit, [True, False]

    def dies(connection: Connection) -> None:
        committed_first = deaths.pop(0) if deaths else None
        if committed_first is None:
            return real(connection)
        if committed_first:
            real(connection)
        connection.close()
        raise psycopg.OperationalError("the connection is gone")

    monkeypatch.setattr(store_module, "commit", dies)
    world.ingest(world.another_worker(chunk_events=60))
    assert world.totals()["stored"] == 100
    assert out_of_balance(world.reconcile()) == []


def test_an_aborted_transaction_whose_commit_answers_rollback_is_noticed(world: World) -> None:
    from resources.postgres import CommitLost, commit

    connection = world.worker.database.connection()
    connection.execute("begin")
    with pytest.raises(psycopg.Error):
        connection.execute("select 1/0")
    with pytest.raises(CommitLost):
        commit(connection)


def test_postgres_restarted_in_the_middle_of_a_batch_is_waited_for(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(5_000))))
    hit = threading.Event()

    def failpoint(point: str) -> None:
        if point == "after_copy" and not hit.is_set():
            hit.set()
            world.services.kill("postgres")
            threading.Thread(target=world.services.start, args=("postgres",)).start()

    worker = world.another_worker(chunk_events=1_000)
    worker.failpoint = failpoint
    world.ingest(worker)
    assert world.totals()["stored"] == 5_000
    assert world.one("select sum(retries) from ops.batches") > 0
    assert out_of_balance(world.reconcile()) == []


def test_kafka_restarted_in_the_middle_of_a_batch_is_waited_for(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(5_000))))
    hit = threading.Event()

    def failpoint(point: str) -> None:
        if point == "after_copy" and not hit.is_set():
            hit.set()
            world.services.kill("kafka")
            threading.Thread(target=world.services.start, args=("kafka",)).start()

    worker = world.another_worker(chunk_events=1_000)
    worker.failpoint = failpoint
    world.ingest(worker)
    for ranges in world.plans():
        world.ingest(ranges=ranges)
    assert world.totals()["stored"] == 5_000
    assert out_of_balance(world.reconcile()) == []


def test_offsets_that_expire_between_plan_and_pull_become_a_gap(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(100))))
    [ranges] = world.plans()
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.topic, 0, 40)]).values():
        future.result()
    world.ingest(ranges=ranges)
    assert world.query("select start_offset, end_offset, reason from ops.gaps") == [(0, 40, "expired")]
    assert world.totals()["stored"] == 60
    [verdict] = world.reconcile()
    assert verdict.balanced
    assert verdict.lost == 40


def test_everything_that_was_planned_may_be_gone(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(100))))
    [ranges] = world.plans()
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.topic, 0, 100)]).values():
        future.result()
    world.ingest(ranges=ranges)
    assert world.query("select start_offset, end_offset, reason from ops.gaps") == [(0, 100, "expired")]
    assert world.plans() == []


def recreate(world: World) -> None:
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    before = world.worker.kafka.topic_ids([world.topic])
    admin.delete_topics([world.topic])[world.topic].result()
    wait_until(lambda: world.topic not in world.worker.kafka.topic_ids([world.topic]))
    wait_until(lambda: world.worker.kafka.create_topic(world.topic, 1))
    wait_until(lambda: world.worker.kafka.topic_ids([world.topic]).get(world.topic) not in (None, before[world.topic]))


def test_a_topic_that_is_recreated_between_plan_and_pull_is_not_read_as_the_old_one(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    world.ingest()
    world.produce(encoded(*(event() for _ in range(10))))
    [ranges] = world.plans()
    recreate(world)
    world.produce(encoded(*(event() for _ in range(30))))
    ended_early = world.ingest(ranges=ranges)
    assert "re-created" in ended_early.why
    assert world.totals()["stored"] == 10
    for planned in world.plans():
        world.ingest(ranges=planned)
    assert world.totals()["stored"] == 40
    assert world.query("select start_offset, end_offset, reason from ops.gaps") == [(10, None, "recreated")]
    assert out_of_balance(world.reconcile()) == []


def test_a_recreated_topic_that_is_shorter_than_the_plan_is_noticed_at_once(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    world.ingest()
    world.produce(encoded(*(event() for _ in range(10))))
    [ranges] = world.plans()
    recreate(world)
    world.produce(encoded(*(event() for _ in range(3))))
    assert "re-created" in world.ingest(world.another_worker(progress_timeout=timedelta(seconds=20)), ranges).why
    for planned in world.plans():
        world.ingest(ranges=planned)
    assert world.totals()["stored"] == 13
    assert out_of_balance(world.reconcile()) == []


def test_a_log_that_went_backwards_is_a_gap_and_ingest_goes_on(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    world.ingest()
    world.query("update ops.offsets set next_offset = 25")
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    assert world.query("select start_offset, end_offset, reason from ops.gaps") == [(10, 25, "went_backwards")]
    world.produce(encoded(event()))
    world.ingest()
    assert world.totals()["stored"] == 11


def test_a_full_disk_is_waited_for_and_makes_no_dead_letters(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(100))))
    world.query(
        "create function raw.full_disk() returns trigger language plpgsql as"
        " $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$"
    )
    world.query("create trigger full_disk before insert on raw.events for each row execute function raw.full_disk()")
    freed = threading.Timer(1.5, lambda: world.query("drop trigger full_disk on raw.events"))
    freed.start()
    world.ingest()
    freed.join()
    assert world.totals() == {"records": 100, "stored": 100, "duplicates": 0, "dead_letters": 0, "tombstones": 0}
    assert world.one("select sum(retries) from ops.batches") > 0


def test_nothing_of_a_row_is_in_what_is_logged_about_a_failure(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.produce(encoded(event(payload={"userId": "somebody", "page": "/secret"})))
    world.query("alter table raw.events add constraint nothing check (false) not valid")
    with pytest.raises(Exception, match="nothing") as caught:
        world.ingest()
    for text in (caplog.text, str(caught.value)):
        assert "somebody" not in text
        assert "secret" not in text


def test_a_failure_that_is_given_up_says_what_it_was_without_quoting_a_row(world: World) -> None:
    world.produce(encoded(event(payload={"userId": "somebody", "page": "/secret"})))
    world.query("create function raw.broken() returns trigger language plpgsql as $$ begin return nothing(new); end $$")
    world.query("create trigger broken before insert on raw.events for each row execute function raw.broken()")
    with pytest.raises(StorageFailed, match="UndefinedFunction 42883") as caught:
        world.ingest()
    assert "somebody" not in "".join(traceback.format_exception(caught.value))
