"""The whole thing at work: everything that was sent is accounted for, whatever dies meanwhile."""

import time
import uuid

import psutil
import pytest
import redis
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from tests.system.system import Sent, System, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

MIXTURE = (
    *("--duplicates", "0.05", "--late", "0.05", "--out-of-order", "0.05"),
    *("--invalid", "0.05", "--tombstones", "0.02"),
)


def assert_accounted_for(system: System, sent: Sent) -> None:
    """Every acknowledged record is where its class says, and `reconcile` finds nothing wrong."""
    code, answer = system.reconcile()
    assert (code, answer["balanced"], answer["pending"]) == (0, True, 0), answer
    assert sent.summary["acknowledged"] == sent.summary["sent"] == len(sent.entries)
    ids = {str(entry.event_id) for entry in sent.entries if entry.kind in ("valid", "late", "out_of_order")}
    found = system.query("select event_id from raw.events where event_id = any(%s)", [uuid.UUID(each) for each in ids])
    assert len(found) == len(ids)
    assert {str(row[0]) for row in found} == ids


def test_a_mixture_of_everything_arrives_and_balances(whole: System) -> None:
    before = _refused_and_empty(whole)
    sent = whole.produce("--count", "6000", "--rate", "2000", *MIXTURE)
    assert_accounted_for(whole, sent)
    classes = sent.summary["by_class"]
    refused = sum(n for name, n in classes.items() if name.startswith("invalid"))
    dead_letters, tombstones = _refused_and_empty(whole)
    assert (dead_letters - before[0], tombstones - before[1]) == (refused, classes["tombstone"])


def _refused_and_empty(system: System) -> tuple[int, int]:
    [row] = system.query(
        "select (select count(*) from raw.dead_letters), coalesce(sum(tombstones), 0)::bigint from ops.batches"
    )
    return row[0], row[1]


def test_runs_are_executed_by_warm_workers_and_succeed(whole: System) -> None:
    whole.produce("--count", "100")
    assert whole.reconcile()[0] == 0
    [(run_id,)] = whole.query("select run_id from ops.batches order by batch_id desc limit 1")
    status = "select 1 from dagster.runs where run_id = %s and status = 'SUCCESS'"
    assert eventually(lambda: whole.query(status, run_id), seconds=20)


def kill_one_after_the_other(system: System, *names: str) -> None:
    """Under load, the next when the one before has begun anew: everything that was sent arrives."""
    stored = system.stored()
    with system.producing("--count", str(3_000 * len(names)), "--rate", "1000", *MIXTURE) as producing:
        eventually(lambda: system.stored() > stored)
        for name in names:
            time.sleep(1)
            killed = system.pid(name)
            system.kill(name)
            eventually(lambda: system.pid(name) != killed)  # noqa: B023 - it is called here
        sent = producing.wait()
    assert_accounted_for(system, sent)


def test_processes_that_are_killed_under_load_cost_nothing(whole: System) -> None:
    kill_one_after_the_other(whole, "worker-ingest", "daemon", "webserver", "code-server", "redis", "broker")


def test_stores_that_are_killed_in_the_middle_of_a_batch_are_waited_for(whole: System) -> None:
    kill_one_after_the_other(whole, "postgres", "kafka")


def test_a_child_of_the_worker_that_is_killed_is_replaced(whole: System) -> None:
    with whole.producing("--count", "5000", "--rate", "1000") as producing:
        time.sleep(2)
        for pid in whole.worker_children():
            psutil.Process(pid).kill()
        sent = producing.wait()
    assert_accounted_for(whole, sent)


def test_a_broker_that_is_flushed_with_runs_queued_is_forgotten_within_a_minute(whole: System) -> None:
    worker = psutil.Process(whole.pid("worker-ingest"))
    worker.suspend()
    try:
        sent = whole.produce("--count", "500")
        eventually(lambda: whole.query("select 1 from dagster.runs where status in ('STARTING', 'STARTED')"))
        redis.Redis.from_url(whole.environment["MILLRACE_BROKER_URL"]).flushall()
    finally:
        worker.resume()
    began = time.monotonic()
    assert_accounted_for(whole, sent)
    assert time.monotonic() - began < 60


def test_partitions_that_are_added_later_are_picked_up(whole: System) -> None:
    admin = AdminClient({"bootstrap.servers": whole.environment["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"]})
    admin.create_partitions([NewPartitions("user-events", 6)])["user-events"].result()
    time.sleep(1)
    sent = whole.produce("--count", "3000")
    assert {entry.partition for entry in sent.entries} >= {4, 5}
    assert_accounted_for(whole, sent)


REEXECUTE = """
mutation ($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


def test_a_reexecution_from_the_ui_is_a_replay(whole: System) -> None:
    sent = whole.produce("--count", "200")
    assert_accounted_for(whole, sent)
    [(run_id, topic_id, partition, offset)] = whole.query(
        "select b.run_id, e.kafka_topic_id, e.kafka_partition, e.kafka_offset from raw.events as e"
        " inner join ops.batch_ranges as r on r.topic_id = e.kafka_topic_id and r.partition = e.kafka_partition"
        " and e.kafka_offset >= r.start_offset and e.kafka_offset < r.end_offset"
        " inner join ops.batches as b on b.batch_id = r.batch_id order by b.batch_id desc limit 1"
    )
    where = "kafka_topic_id = %s and kafka_partition = %s and kafka_offset = %s"
    whole.query(f"delete from raw.events where {where} returning 1", topic_id, partition, offset)
    assert whole.reconcile()[1]["balanced"] is False
    answer = whole.graphql(REEXECUTE, params={"parentRunId": run_id, "strategy": "ALL_STEPS"})
    assert answer["launchRunReexecution"]["__typename"] == "LaunchRunSuccess", answer
    eventually(lambda: whole.query(f"select 1 from raw.events where {where}", topic_id, partition, offset))
    code, found = whole.reconcile()
    assert code == 0, found
