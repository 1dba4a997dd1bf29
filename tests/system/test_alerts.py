"""What on-call is told: something breaks and the right alert arrives, it is mended and the resolution arrives.

Real Pushgateway, Prometheus and Alertmanager with Millrace's own rules and routes; only their minutes are seconds.
"""

import json
import time
from collections.abc import Generator

import pytest

from infra.local import remote, state
from tests.system.system import System, eventually
from tests.system.watch import Watch, watching

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def watch(whole: System, tmp_path_factory: pytest.TempPathFactory) -> Generator[Watch]:
    port = state.load(whole.stack.directory).ports["pushgateway"]
    with watching(tmp_path_factory.mktemp("watch"), f"127.0.0.1:{port}") as made:
        eventually(lambda: made.query("millrace_dependency_up == 1"))
        yield made


def counters(watch: Watch) -> dict[str, float]:
    """The counters as Prometheus has them now, summed up as SQL can count them."""
    found = {
        f"{each['metric']['outcome']}": float(each["value"][1])
        for each in watch.query("sum by (outcome) (millrace_events_total)")
    }
    for each in watch.query("sum by (code) (millrace_rejections_total) > 0"):
        found[each["metric"]["code"]] = float(each["value"][1])
    for each in watch.query('sum by (type) (millrace_events_total{outcome="stored"}) > 0'):
        found[each["metric"]["type"]] = float(each["value"][1])
    return {name: value for name, value in found.items() if value}


def counted(system: System) -> dict[str, float]:
    """The same by SQL."""
    [row] = system.query(
        "select (select count(*) from raw.events), (select count(*) from raw.dead_letters),"
        " sum(duplicates_redis + duplicates_postgres), sum(tombstones), sum(erased), sum(expired) from ops.batches"
    )
    outcomes = ("stored", "dead_letter", "duplicate", "tombstone", "erased", "expired")
    found = dict(zip(outcomes, map(float, row), strict=True))
    codes = system.query("select code, count(*)::float8 from raw.dead_letters group by code")
    types = system.query("select type, count(*)::float8 from raw.events group by type")
    return {name: value for name, value in [*found.items(), *codes, *types] if value}


def test_the_counters_equal_sql_to_the_event_also_after_everything_was_restarted(whole: System, watch: Watch) -> None:
    whole.produce(
        "--count", "5000", "--duplicates", "0.1", "--late", "0.05", "--invalid", "0.1", "--tombstones", "0.05"
    )
    assert whole.reconcile()[0] == 0
    eventually(lambda: counters(watch) == counted(whole), seconds=30)
    before = counters(watch)
    supervisor = remote.Remote(whole.stack.directory)
    for name in ("worker-ingest", "worker-aggregates", "daemon", "code-server", "postgres", "pushgateway"):
        whole.kill(name)
    eventually(lambda: all(p["statename"] == "RUNNING" for p in supervisor.programs().values()), seconds=120)
    whole.produce("--count", "1000", "--invalid", "0.1")
    assert whole.reconcile()[0] == 0
    eventually(lambda: counters(watch) == counted(whole), seconds=60)
    assert all(counters(watch)[name] >= value for name, value in before.items())
    went_down = watch.query('resets({__name__=~"millrace_.+_total"}[10m]) > 0')
    assert went_down == []


def test_postgres_is_stopped_and_on_call_is_told_so_and_that_it_is_back(whole: System, watch: Watch) -> None:
    supervisor = remote.Remote(whole.stack.directory)
    began = len(watch.received.alerts)
    supervisor.stop("postgres")
    try:
        alert = watch.expect("MillracePostgresDown")
        assert alert["labels"]["severity"] == "critical"
        assert alert["annotations"]["runbook_url"].endswith("docs/runbook.md#millracepostgresdown")
        time.sleep(10)
    finally:
        supervisor.start("postgres")
    watch.expect("MillracePostgresDown", "resolved")
    # What follows from it is not told beside it.
    told = {a["labels"]["alertname"] for a in watch.received.alerts[began:] if a["status"] == "firing"}
    assert "MillraceNotCommitting" not in told
    assert whole.reconcile()[0] == 0


def test_garbage_floods_the_topic_and_on_call_is_told_which_code(whole: System, watch: Watch) -> None:
    with whole.producing("--rate", "2000", "--count", "30000", "--invalid", "0.6"):
        alert = watch.expect("MillraceDeadLetterStorm")
    assert alert["annotations"]["summary"]
    watch.expect("MillraceDeadLetterStorm", "resolved", seconds=180)
    assert whole.reconcile()[0] == 0


def test_nobody_ingests_while_lag_grows_and_on_call_is_woken_until_somebody_does(whole: System, watch: Watch) -> None:
    supervisor = remote.Remote(whole.stack.directory)
    supervisor.stop("worker-ingest")
    try:
        with whole.producing("--rate", "200", "--count", "60000"):
            alert = watch.expect("MillraceNotCommitting", seconds=120)
    finally:
        supervisor.start("worker-ingest")
    assert alert["labels"]["severity"] == "critical"
    watch.expect("MillraceNotCommitting", "resolved", seconds=120)
    assert whole.reconcile()[0] == 0


def test_a_quiet_stack_wakes_nobody(whole: System, watch: Watch) -> None:
    whole.reconcile()
    eventually(lambda: not watch.query('ALERTS{alertstate="firing", severity="critical"}'), seconds=120)
    before = len(watch.received.alerts)
    time.sleep(10)
    assert [json.dumps(a["labels"]) for a in watch.received.alerts[before:] if a["status"] == "firing"] == []
