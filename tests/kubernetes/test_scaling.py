"""Budgets for disruptions, and the numbers of workers and lanes that must fit each other."""

import re
from typing import Any

import pytest

from tests.kubernetes.manifests import FOLDER, ROOT, named, of_kind, pods, selects, settings, values


def scaler() -> dict[str, Any]:
    return named("ScaledObject", "worker-ingest")["spec"]


def lanes() -> int:
    return int(settings()["MILLRACE_LANES"])


def has_several(deployment: dict[str, Any]) -> bool:
    """More than one replica, or as many as a scaler wants."""
    return deployment["spec"].get("replicas", 2) > 1


def test_what_there_is_several_of_has_a_budget_and_nothing_else_has() -> None:
    several = [deployment["metadata"]["name"] for deployment in of_kind("Deployment") if has_several(deployment)]
    budgets = of_kind("PodDisruptionBudget")
    covered = [
        [name for name, pod in pods().items() if selects(budget["spec"]["selector"], pod.labels)] for budget in budgets
    ]
    assert sorted(name for names in covered for name in names) == sorted(several)
    assert all(len(names) == 1 for names in covered)
    assert selects(
        named("PodDisruptionBudget", "webserver")["spec"]["selector"], values()["dagsterWebserver"]["labels"]
    )


def test_a_budget_lets_a_machine_be_emptied() -> None:
    for budget in of_kind("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"]


def test_the_fewest_workers_have_a_slot_for_each_lane() -> None:
    arguments = pods()["worker-ingest"].container["args"]
    slots = int(arguments[arguments.index("--concurrency") + 1])
    assert scaler()["minReplicaCount"] * slots >= lanes()


def test_there_are_never_more_workers_than_lanes() -> None:
    assert scaler()["maxReplicaCount"] == lanes()
    assert scaler()["fallback"]["replicas"] <= lanes()


def test_nobody_but_the_scaler_says_how_many_ingest_workers_there_are() -> None:
    target = scaler()["scaleTargetRef"]["name"]
    assert pods()[target].replicas is None


def test_the_scaler_asks_the_kafka_that_millrace_reads() -> None:
    asked = scaler()["triggers"][0]
    assert asked["metadata"]["bootstrapServers"] == settings()["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"]
    assert asked["metadata"]["topic"] in settings()["MILLRACE_KAFKA_TOPICS"].split(",")
    assert asked["metadata"]["consumerGroup"] == default_of("MILLRACE_KAFKA_GROUP_ID")
    assert named("TriggerAuthentication", asked["authenticationRef"]["name"])
    assert all(isinstance(value, str) for value in asked["metadata"].values())  # KEDA's map is of texts


def default_of(setting: str) -> str:
    found = re.search(rf"^\| `{setting}` \|.*\| `(.*)` \|$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.yaml")))
def test_every_file_is_part_of_something_that_is_applied(path: str) -> None:
    if path.endswith(("kustomization.yaml", "values.yaml")):
        return
    folder, _, name = path.rpartition("/")
    assert name in (FOLDER / folder / "kustomization.yaml").read_text()
