"""Pushing to a real Pushgateway, and to servers that hang, drip and refuse; what is due when, what is told as 0."""

import base64
import logging
import time
from collections.abc import Callable

import pytest
from prometheus_client.core import GaugeMetricFamily

from assets.aggregates import login_audit
from monitoring.metrics import schedule
from monitoring.metrics.families import families, from_totals
from monitoring.metrics.names import METRICS
from monitoring.metrics.preset_counters import LOGIN_FLAGS, preset_counters
from monitoring.metrics.push import REST_SECONDS, Pusher, gone, grouping
from monitoring.metrics.schedule import GroupPush
from monitoring.metrics.totals import Total, Totals
from orchestration.factories import make_metrics
from orchestration.settings import SettingsError, load
from resources.pushgateway import PushFailed, Pushgateway
from tests.metrics.support import Gateway, answers, drips, free_port, hangs, hostile

LAG = grouping("lag")


def gauge(value: float) -> list[GaugeMetricFamily]:
    return [GaugeMetricFamily("millrace_oldest_unread_seconds", "Age.", value)]


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_push_replaces_its_group_and_no_other(gateway: Gateway) -> None:
    pushgateway = gateway.patient()
    pushgateway.push(grouping("lane", 1), gauge(3))
    pushgateway.push(grouping("lane", 2), gauge(4))
    pushgateway.push(grouping("lane", 1), gauge(5))
    assert sorted(gateway.samples()["millrace_oldest_unread_seconds"].values()) == [4, 5]


def test_groups_are_listed_and_deleted(gateway: Gateway) -> None:
    pushgateway = gateway.patient("/")
    pushgateway.push(grouping("lane", 1), gauge(3))
    assert pushgateway.groups() == [{"job": "millrace", "collector": "lane", "lane": "1"}]
    pushgateway.delete(grouping("lane", 1))
    pushgateway.delete(grouping("lane", 1))
    assert pushgateway.groups() == []


def test_only_lanes_that_are_gone_are_deleted() -> None:
    others = [{"job": "backup"}, {"job": "millrace", "collector": "lag"}, {**grouping("lane", 7), "instance": "a"}]
    assert gone([*others, grouping("lane", 0), grouping("lane", 1)], [0]) == [grouping("lane", 1)]


def test_credentials_are_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with hostile(answers("401 Unauthorized")) as server:
        pusher = Pusher(Pushgateway(f"http://us%40er:se%3Acret@127.0.0.1:{server.port}/prefix"))
        assert not pusher.push(LAG, gauge(1))
    sent = server.requests[0].decode()
    assert sent.startswith("PUT /prefix/metrics/job/millrace/collector/lag HTTP/1.1")
    assert f"Basic {base64.b64encode(b'us@er:se:cret').decode()}" in sent
    assert "401" in caplog.text
    assert "cret" not in caplog.text + repr(pusher)


def test_the_setting_is_checked_and_never_shown() -> None:
    given = {
        "MILLRACE_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/none",
        "MILLRACE_REDIS_URL": "redis://127.0.0.1:9",
        "MILLRACE_BROKER_URL": "redis://127.0.0.1:9",
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    }
    settings = load({**given, "MILLRACE_PUSHGATEWAY_URL": "https://user:secret@host"})
    assert "secret" not in repr(settings) + repr(make_metrics(settings)) + str(settings.model_dump())
    assert load(given).pushgateway_url is None
    with pytest.raises(SettingsError, match="MILLRACE_PUSHGATEWAY_URL: expected a URL") as wrong:
        load({**given, "MILLRACE_PUSHGATEWAY_URL": "ftp://user:secret@host"})
    assert "secret" not in str(wrong.value)


@pytest.mark.parametrize(("behave", "reason"), [(hangs, "timeout"), (drips, "timeout")])
def test_a_server_that_does_not_come_to_an_end_holds_nobody(behave: Callable[..., None], reason: str) -> None:
    with hostile(behave) as server:
        began = time.monotonic()
        with pytest.raises(PushFailed) as failed:
            Pushgateway(f"http://127.0.0.1:{server.port}", 0.5).push(LAG, gauge(1))
        assert time.monotonic() - began < 60, "the server never ends its answer"
    assert failed.value.reason == reason


@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error", "302 Found"])
def test_a_server_that_does_not_take_it_refuses(status: str) -> None:
    with hostile(answers(status)) as server, pytest.raises(PushFailed, match="refused"):
        Pushgateway(f"http://127.0.0.1:{server.port}").push(LAG, gauge(1))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_server_or_none_that_speaks_the_language_is_unreachable(scheme: str) -> None:
    with pytest.raises(PushFailed, match="unreachable"):
        Pushgateway(f"{scheme}://127.0.0.1:{free_port()}").push(LAG, gauge(1))
    speaks = hostile(lambda connection: connection.sendall(b"SSH-2.0\r\n"))
    with speaks as server, pytest.raises(PushFailed, match="unreachable"):
        Pushgateway(f"{scheme}://127.0.0.1:{server.port}").push(LAG, gauge(1))


def test_an_outage_is_one_warning_and_one_note_and_is_asked_about_rarely(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "millrace.metrics")
    clock, gateway = Clock(), Gateway(free_port())
    pusher = Pusher(gateway.patient(), clock=clock)
    for _ in range(3):
        for _ in range(10):
            assert not pusher.push(LAG, gauge(1))
        clock.now += REST_SECONDS
    gateway.start()
    try:
        assert pusher.push(LAG, gauge(1))
    finally:
        gateway.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert pusher.take_failures() == {Total("millrace_push_failures_total", ("unreachable",)): 3}
    assert pusher.take_failures() == {}


def test_a_group_that_is_refused_does_not_keep_others_back() -> None:
    clock = Clock()

    def judge(connection: object) -> None:
        answers("400 Bad Request" if b"collector/lag" in server.requests[-1] else "200 OK")(connection)  # type: ignore[arg-type]

    with hostile(judge) as server:
        pusher = Pusher(Pushgateway(f"http://127.0.0.1:{server.port}"), clock=clock)
        assert not pusher.push(LAG, gauge(1))
        assert pusher.push(grouping("health"), gauge(1))
        assert not pusher.push(LAG, gauge(1))
    assert len(server.requests) == 2


def test_failures_that_could_not_be_written_down_are_kept() -> None:
    pusher = Pusher(Pushgateway(f"http://127.0.0.1:{free_port()}"))
    pusher.push(LAG, gauge(1))
    pusher.give_back(pusher.take_failures())
    assert sum(pusher.take_failures().values()) == 1


def test_a_histogram_is_cumulative_and_complete() -> None:
    totals = Totals()
    totals.observe("millrace_batch_seconds", [0.001, 0.002, 0.3, 99.0], "store")
    [family] = [f for f in from_totals(totals) if f.name == "millrace_batch_seconds"]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    assert (buckets["0.001"], buckets["0.005"], buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (1, 2, 2, 3, 4)
    assert {s.name: s.value for s in family.samples if not s.name.endswith("_bucket")} == {
        "millrace_batch_seconds_count": 4,
        "millrace_batch_seconds_sum": pytest.approx(99.303),
    }


def test_what_is_not_in_the_contract_cannot_be_told() -> None:
    with pytest.raises(ValueError, match="contract"):
        families("lag", {"millrace_events_total": {("stored", "login"): 1}})
    with pytest.raises(ValueError, match="contract"):
        families("lag", {"millrace_consumer_lag_events": {("topic",): 1}})


def test_every_counter_whose_labels_are_known_begins_at_zero() -> None:
    known = list(preset_counters(["login"], ["ingest"]))
    totals = {name for name, metric in METRICS.items() if metric.group == "totals"}
    assert {total.metric for total in known} == totals - {"millrace_run_failures_total"}  # causes are found by failing
    assert Total("millrace_events_total", ("stored", "login")) in known
    assert Total("millrace_runs_total", ("ingest", "failure")) in known
    assert len(known) == len(set(known))
    for total in known:
        assert len(total.labels) == len(METRICS[total.metric].labels) + (METRICS[total.metric].kind == "histogram")


def test_the_flags_that_begin_at_zero_are_those_of_the_audit() -> None:
    assert login_audit.__doc__ is not None
    assert all(f"`{flag}`" in login_audit.__doc__ for flag in LOGIN_FLAGS)


def test_every_group_is_due_at_first_what_tells_an_outage_first_and_sizes_are_rare() -> None:
    every, tried = schedule.every(5), {}
    assert schedule.due(0, tried, every) == ["health", "lag", "totals", "state", "storage"]
    tried = dict.fromkeys(every, 0.0)
    assert schedule.due(4.9, tried, every) == []
    assert schedule.wait(4.0, tried, every) == 1.0
    assert schedule.due(5.0, tried, every) == ["health", "lag", "totals", "state"]
    assert schedule.due(30.0, tried, every)[-1] == "storage"
    assert schedule.every(60)["storage"] == 60


def test_what_is_said_names_ages_and_problems() -> None:
    told = {
        "health": GroupPush(98.0),
        "lag": GroupPush(90.0, "Kafka does not answer"),
        "state": GroupPush(None, "broken"),
    }
    said = schedule.explain(100.0, told, resting=False)  # type: ignore[arg-type]
    assert said == ("pushed health 2 s ago, lag 10 s ago. Not pushed: lag: Kafka does not answer; state: broken")
    assert "Pushgateway failed" in schedule.explain(100.0, told, resting=True)  # type: ignore[arg-type]
