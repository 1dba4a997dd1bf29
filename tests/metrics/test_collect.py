"""What is told, held against SQL and Kafka, on a real Pushgateway."""

# pyright: reportPrivateUsage=false

import math
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from confluent_kafka import Producer

from infra.local.binaries import monitoring
from monitoring.metrics import totals
from monitoring.metrics.collect.lag import behind
from monitoring.metrics.collect.unread import Behind, Unread, age
from monitoring.metrics.names import BOUNDS, METRICS
from monitoring.metrics.reporter import MetricsReporter
from monitoring.metrics.resource import Metrics
from resources.kafka import Available
from tests.metrics.counting import expire, the_plan
from tests.metrics.support import Gateway, leave_out, metrics_of, withhold
from tests.support.world import World, encoded, event
from tests.upkeep.dagster_tables import instance_in

A, B = UUID(int=1), UUID(int=2)


@pytest.fixture
def metrics(world: World, gateway: Gateway) -> Iterator[Metrics]:
    made = metrics_of(world, gateway, postgres_capacity_bytes=10**9)
    yield made
    made.close()


@pytest.fixture
def reporter(metrics: Metrics) -> MetricsReporter:
    assert metrics.reporter is not None
    return metrics.reporter


def test_lag_is_what_kafka_has_and_nobody_committed() -> None:
    available = [
        Available("t", A, 0, low=0, high=10),  # never committed
        Available("t", A, 1, low=5, high=10),  # never committed, and the beginning expired
        Available("t", A, 2, low=5, high=10),  # committed up to what expired meanwhile
        Available("t", A, 3, low=0, high=10),  # committed beyond the end: the log went backwards
        Available("t", B, 4, low=0, high=10),  # committed in another generation of the topic
    ]
    committed = {(A, 2): 3, (A, 3): 12, (A, 4): 10}
    assert [b.lag for b in behind(available, committed)] == [10, 5, 5, 0, 10]


@pytest.mark.services
def test_every_metric_of_the_contract_is_told_and_no_other_and_prometheus_finds_no_fault(
    world: World, gateway: Gateway, reporter: MetricsReporter, tmp_path: Path
) -> None:
    world.produce([*encoded(event(), event()), b"{"])
    world.ingest()
    world.query(
        "insert into ops.failure_causes values ('ingest', 'kafka', 3, now(), now(), 'r', null)",
    )
    withhold(world)
    leave_out(world)
    with instance_in(world.settings.postgres_url, tmp_path / "dagster"):
        world.query(
            "insert into dagster.asset_check_executions (asset_key, check_name, execution_status)"
            " values ('[]', 'hours', 'SUCCEEDED'), ('[]', 'hours', 'FAILED'), ('[]', 'hours', 'PLANNED')"
        )
        reporter.turn()
    told = {name.removesuffix(s) for name in gateway.samples() for s in ("_bucket", "_count", "_sum", "")}
    assert {name for name in told if name in METRICS} == set(METRICS)
    allowed = {name + s for name in METRICS for s in ("", "_bucket", "_count", "_sum")}
    assert {name for name in gateway.samples() if name.startswith("millrace_")} <= allowed
    assert gateway.get("millrace_check_passed", check="hours") == 0
    assert gateway.get("millrace_run_failures_total", run_job="ingest", cause="kafka") == 3
    mine = [line for line in gateway.text().splitlines() if "millrace_" in line]
    check = subprocess.run(
        [monitoring("promtool"), "check", "metrics"], input="\n".join([*mine, ""]), text=True, capture_output=True
    )
    assert (check.returncode, check.stdout + check.stderr) == (0, "")


@pytest.mark.services
def test_what_is_told_is_what_sql_says(world: World, gateway: Gateway, reporter: MetricsReporter) -> None:
    first = event()
    world.produce([*encoded(first, first, event(), event(kind="login", payload=LOGIN)), b"{", None])
    world.ingest(lane=1)
    world.produce(encoded(event()))
    reporter.turn()
    with world.worker.postgres.connect("test") as connection:
        counted = set(totals.read(connection))
    counters = {total for total in counted if total.metric not in BOUNDS}
    assert counters <= set(reporter.publisher.known.zeros), "a counter that does not begin at 0 is invisible to rate()"
    ledger = world.totals()
    by_type = world.query("select type, count(*) from raw.events group by type")
    stored = {kind: gateway.get("millrace_events_total", outcome="stored", type=kind) for kind, _ in by_type}
    assert stored == dict(by_type)
    assert sum(stored.values()) == ledger["stored"] == 3  # type: ignore[arg-type]
    duplicates = [gateway.get("millrace_duplicates_total", source=source) for source in ("redis", "postgres")]
    assert sum(filter(None, duplicates)) == ledger["duplicates"] == 1
    assert gateway.get("millrace_rejections_total", code="not_json") == 1
    assert gateway.get("millrace_dead_letters_open", code="not_json") == 1
    assert gateway.get("millrace_events_total", outcome="tombstone") == 1
    assert gateway.get("millrace_batches_total", result="committed") == world.one("select count(*) from ops.batches")
    assert gateway.get("millrace_end_to_end_seconds_count") == 6
    assert gateway.get("millrace_lane_records_total", lane="1") == 6
    assert time.time() - (gateway.get("millrace_last_commit_timestamp_seconds", lane="1") or 0) < 60
    assert gateway.get("millrace_consumer_lag_events", topic=world.topic, partition="0") == 1
    assert gateway.get("millrace_aggregate_waiting_events") == 3
    assert (gateway.get("millrace_aggregate_staleness_seconds", table="events_hourly") or 0) > 0
    assert gateway.get("millrace_aggregate_staleness_seconds", table="events_minutely") == 0
    assert gateway.get("millrace_table_rows", table="raw.events") == 3
    size = world.one("select sum(pg_total_relation_size(relid))::float8 from pg_partition_tree('raw.events')")
    assert gateway.get("millrace_table_bytes", table="raw.events") == size
    assert gateway.get("millrace_database_capacity_bytes") == 10**9


@pytest.mark.services
def test_a_transaction_that_is_left_open_in_any_database_is_told_with_its_age(
    world: World, gateway: Gateway, reporter: MetricsReporter
) -> None:
    with psycopg.connect(world.settings.postgres_url, dbname="postgres") as session:
        session.execute("select 1")  # opens a transaction, and leaves it open
        [[before]] = world.query("select extract(epoch from clock_timestamp() - now())")
        while world.one("select ops.oldest_transaction_seconds()") <= float(before) + 0.1:
            time.sleep(0.05)
        reporter.turn()
        assert (gateway.get("millrace_oldest_transaction_seconds") or 0) > 0.1
    used = world.one("select max(age(datfrozenxid))::float8 from pg_database")
    assert 0 < (gateway.get("millrace_transaction_ids_used") or 0) <= used + 1000
    assert gateway.get("millrace_notify_queue_ratio") == 0


@pytest.mark.services
def test_the_processes_are_told_the_age_of_others_transactions_and_an_owner_who_may_not_know_tells_none(
    world: World,
) -> None:
    plain = f"plain_{world.topic}"
    world.query(f"create role {plain}; grant usage on schema ops to {plain}")
    try:
        with psycopg.connect(world.settings.postgres_url) as session, psycopg.connect(world.settings.postgres_url) as p:
            session.execute("select 1")
            p.execute(f"set role {plain}".encode())
            assert p.execute("select ops.oldest_transaction_seconds() > 0").fetchone() == (True,)
        world.query(f"grant create on schema ops to {plain}")
        world.query(f"alter function ops.oldest_transaction_seconds() owner to {plain}")
        assert world.one("select ops.oldest_transaction_seconds()") is None
    finally:
        world.query(f"reassign owned by {plain} to current_user; drop owned by {plain}; drop role {plain}")


LOGIN: dict[str, Any] = {"userId": "u1", "ip": "192.0.2.1", "device": "phone"}


@pytest.mark.services
def test_without_dagsters_tables_nothing_of_them_is_told(
    world: World, gateway: Gateway, reporter: MetricsReporter
) -> None:
    reporter.turn()
    assert "not told" not in reporter.explain().lower()
    assert gateway.get("millrace_runs_in_flight") is None


@pytest.mark.services
def test_a_gap_is_told_with_its_offsets_and_once(world: World, gateway: Gateway, reporter: MetricsReporter) -> None:
    world.produce(encoded(*(event() for _ in range(30))))
    ranges = the_plan(world)
    expire(world, 12)
    world.ingest(ranges=ranges)
    reporter.turn()
    assert gateway.get("millrace_gap_offsets_total") == 12
    assert gateway.get("millrace_gaps_total", reason="expired") == 1


@pytest.mark.services
def test_ended_runs_are_told_once_whether_they_were_trimmed_or_deleted_by_hand(
    world: World, gateway: Gateway, reporter: MetricsReporter, tmp_path: Path
) -> None:
    def told() -> float | None:
        reporter.publisher.publish()
        return gateway.get("millrace_runs_total", run_job="ingest", result="success")

    with instance_in(world.settings.postgres_url, tmp_path / "dagster"):
        assert told() == 0
        insert = "insert into dagster.runs (run_id, pipeline_name, status) select i::text, 'ingest', %s from"
        world.query(f"{insert} generate_series(1, 5) as i", "SUCCESS")
        world.query(f"{insert} generate_series(6, 7) as i", "STARTED")
        assert told() == 5
        world.query(
            "with gone as (delete from dagster.runs where run_id in ('1', '2') returning run_id)"
            " insert into ops.totals (metric, labels, lane, amount)"
            " select 'millrace_runs_total', array['ingest', 'success'], -1, count(*) from gone"
        )
        assert told() == 5
        world.query("delete from dagster.runs where run_id in ('3', '4')")
        assert told() == 5
        world.query(f"{insert} generate_series(11, 13) as i", "SUCCESS")
        assert told() == 6
        world.query("delete from dagster.runs")
        assert told() == 6
        reporter.turn()
        assert gateway.get("millrace_runs_in_flight", run_job="ingest") == 0


@pytest.mark.services
def test_a_partition_that_is_gone_disappears(world: World, gateway: Gateway, reporter: MetricsReporter) -> None:
    other = world.topic + "-other"
    world.worker.kafka.create_topic(other, 2)
    both = replace(reporter, topics=(world.topic, other), _tried={})
    both.turn()
    assert gateway.get("millrace_consumer_lag_events", topic=other, partition="1") == 0
    reporter.turn()
    assert gateway.get("millrace_consumer_lag_events", topic=other, partition="1") is None
    assert gateway.get("millrace_consumer_lag_events", topic=world.topic) == 0


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [([], 0), ([90, 80.0, None], 20), ([None], None), ([math.inf], 0), ([math.inf, None], None), ([101.0], 0)],
)
def test_the_age_is_that_of_the_oldest_record_that_says_its_own(
    stamps: list[float | None], expected: float | None
) -> None:
    assert age(stamps, now=100.0) == expected


class Peeks:
    """The age of what is unread in the world's topic, by offset."""

    def __init__(self, world: World) -> None:
        self.world, self.unread = world, Unread(world.worker.kafka)

    def __call__(self, start: int | None = None, now: float | None = None) -> float | None:
        [found] = self.world.worker.kafka.available([self.world.topic])
        at = Behind(found.topic, found.topic_id, 0, found.low if start is None else start, found.high)
        return self.unread.oldest([at] if at.lag else [], time.time() if now is None else now)


@pytest.mark.services
def test_the_oldest_unread_record_is_the_one_at_the_committed_offset(world: World) -> None:
    now = time.time()
    for seconds in (100, 60, 30):
        world.produce(encoded(event()), timestamp=int((now - seconds) * 1000))
    peeks = Peeks(world)
    assert [round(peeks(start, now) or 0) for start in (0, 1, 2, 2, 1)] == [100, 60, 30, 30, 60]
    assert peeks(3) == 0
    peeks.unread.close()


@pytest.mark.services
def test_behind_the_last_record_there_may_be_markers_alone_and_nobody_is_kept_waiting(world: World) -> None:
    producer = Producer(
        {"bootstrap.servers": world.settings.kafka_bootstrap_servers, "transactional.id": f"t-{world.topic}"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(world.topic, b"{}", partition=0)
    producer.commit_transaction(30)
    peeks = Peeks(world)
    found = peeks(0)
    assert found is not None
    assert 0 <= found < 30
    while world.worker.kafka.available([world.topic])[0].high < 2:
        time.sleep(0.05)
    peeks.unread.deadline_seconds = 120.0
    began = time.monotonic()
    assert peeks(1) == 0  # offset 1 is a marker, and no record
    assert set(peeks.unread._seen.values())
    assert time.monotonic() - began < 60, "Kafka says that only markers are left; the deadline is not waited for"
    peeks.unread.close()


@pytest.mark.services
def test_a_record_that_does_not_come_in_time_is_left_out(world: World) -> None:
    world.produce(encoded(event()))
    peeks = Peeks(world)
    peeks.unread.deadline_seconds = 0.0
    assert peeks(0) is None
    peeks.unread.close()


@pytest.mark.services
def test_many_partitions_full_of_records_are_looked_at_within_one_deadline(world: World) -> None:
    topic = world.topic + "-wide"
    world.worker.kafka.create_topic(topic, 40)
    producer = Producer({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    for number in range(40 * 200):
        producer.produce(topic, b"x" * 300, partition=number % 40)
    producer.flush(30)
    unread = Unread(world.worker.kafka)
    for start in (0, 1, 100):
        found = [Behind(topic, a.topic_id, a.partition, start, a.high) for a in world.worker.kafka.available([topic])]
        assert unread.oldest(found, time.time()) is not None
        assert set(unread._seen) == {b.topic_partition for b in found}
    unread.close()


def test_of_many_partitions_some_are_looked_at_in_each_turn_and_all_in_the_end() -> None:
    unread = Unread(None, most=4)  # type: ignore[arg-type]
    asked = [Behind("t", A, p, 0, 1) for p in range(10)]
    turns = [[b.partition for b in unread._chosen(asked)] for _ in range(3)]
    assert turns == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
