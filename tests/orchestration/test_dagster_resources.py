"""The resources as Dagster's UI has them: where the clients lead, without secrets; ops get the warm client itself."""

from typing import Any

import dagster as dg
import pytest

from assets.ingest.worker import Worker
from orchestration import jobs
from orchestration.dagster_resources import WarmResource
from orchestration.definitions import build_defs
from orchestration.factories import make_worker
from orchestration.settings import load

NAMES = {"worker", "aggregates", "metrics", "partitions", "postgres", "upkeep"}
SETTINGS = load(
    {
        "MILLRACE_POSTGRES_URL": "postgresql://alice:hunter2@db.example:5433/events?sslmode=require",
        "MILLRACE_REDIS_URL": "redis://:hunter2@claims.example:6379/0",
        "MILLRACE_BROKER_URL": "redis://:hunter2@broker.example:6379/0",
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
        "MILLRACE_PUSHGATEWAY_URL": "https://alice:hunter2@push.example:9091/metrics",
    }
)


def shown(defs: dg.Definitions) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, each in (defs.resources or {}).items():
        assert isinstance(each, WarmResource)
        found[name] = {field: getattr(each, field) for field in each.shown}
    return found


def test_every_resource_shows_where_it_leads_and_no_secret() -> None:
    found = shown(build_defs(SETTINGS))
    assert set(found) == NAMES
    assert all(found.values())
    assert found["worker"]["postgres"] == "db.example:5433/events"
    assert found["worker"]["redis"] == "claims.example:6379"
    assert found["worker"]["kafka"] == "kafka.example:9092"
    assert found["metrics"]["pushgateway"] == "push.example:9091"
    said = str(found) + str(build_defs(SETTINGS).resources)
    assert all(secret not in said for secret in ("hunter2", "alice", "sslmode", "//"))


def test_every_job_has_its_resources() -> None:
    repository = build_defs(SETTINGS).get_repository_def()
    for name in jobs.NAMES:
        wanted = set(repository.get_job(name).resource_defs) & NAMES
        assert wanted, name


@dg.op
def use(worker: dg.ResourceParam[Worker]) -> int:
    return id(worker)


def run(worker: Worker, config: dict[str, Any] | None = None) -> dg.ExecuteInProcessResult:
    @dg.job(resource_defs={"worker": build_defs(SETTINGS, worker).resources["worker"]})  # type: ignore[index]
    def _job() -> None:
        use()

    return _job.execute_in_process(run_config={"resources": config} if config else None)


def test_run_after_run_is_handed_the_same_client_and_each_definitions_have_their_own() -> None:
    one, other = make_worker(SETTINGS), make_worker(SETTINGS)
    defs = build_defs(SETTINGS, one).resources["worker"], build_defs(SETTINGS, other).resources["worker"]  # type: ignore[index]
    assert [each.held for each in defs] == [one, other]
    assert [run(one).output_for_node("use") for _ in range(2)] == [id(one)] * 2
    assert run(other).output_for_node("use") == id(other)


def test_a_run_config_with_other_values_than_the_settings_is_ignored_with_a_warning(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The launchpad copies them into the config, and a re-execution keeps them."""
    said, worker = shown(build_defs(SETTINGS))["worker"], make_worker(SETTINGS)
    assert run(worker, {"worker": {"config": said}}).success
    assert "the settings decide" not in capfd.readouterr().err
    assert run(worker, {"worker": {"config": {**said, "lanes": 99}}}).output_for_node("use") == id(worker)
    assert "the run's config is ignored: lanes" in capfd.readouterr().err
