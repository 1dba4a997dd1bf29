"""Each container is killed while events keep coming: it comes back by itself, and the books add up."""

import time

import pytest

from tests.containers.stack import Stack

pytestmark = pytest.mark.containers

KILLED = (
    "worker-ingest", "worker-aggregates", "worker-default", "daemon", "code-server", "webserver",
    "kafka", "postgres", "redis", "broker",
)  # fmt: skip


@pytest.mark.parametrize("service", KILLED)
def test_nothing_is_lost_or_doubled_when_a_container_is_killed(running: Stack, service: str) -> None:
    read = running.records()
    with running.traffic("--duration", "15s", "--rate", "400", "--duplicates", "0.05") as sent:
        time.sleep(6)
        running.kill(service)
    running.reconcile("180s")
    # A producer whose acknowledgement was lost sends again, and Kafka may hold a record twice: never one less.
    assert running.records() - read >= sent["acknowledged"] > 3_000
    assert running.query("select count(*) - count(distinct event_id) from raw.events") == ["0"]
