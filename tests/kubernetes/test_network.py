"""Who may talk to whom, worked out from all network policies together, and held against what each role does."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.kubernetes.manifests import ROLE, named, of_kind, pods, policies, selects, settings, values

POSTGRES, REDIS, KAFKA, CODE, PUSH, DNS = 5432, 6379, 9092, 4266, 9091, 53
MAY_REACH = {
    "code-server": {DNS, POSTGRES, REDIS, KAFKA, PUSH},
    "daemon": {DNS, POSTGRES, REDIS, CODE},
    "webserver": {DNS, POSTGRES, REDIS, CODE},
    "worker-ingest": {DNS, POSTGRES, REDIS, KAFKA, PUSH},
    "worker-aggregates": {DNS, POSTGRES, REDIS, PUSH},
    "worker-default": {DNS, POSTGRES, REDIS, KAFKA, PUSH},
    "migrate": {DNS, POSTGRES, KAFKA},
}
MAY_BE_REACHED_BY = {"code-server": {"webserver", "daemon"}}


def everyone() -> dict[str, Mapping[str, str]]:
    """The labels of every pod of ours and of the chart's, by role."""
    ours = {pod.labels[ROLE]: pod.labels for pod in pods().values()}
    theirs = [values()[part]["labels"] for part in ("dagsterWebserver", "dagsterDaemon")]
    return ours | {f"{labels[ROLE]} of the chart": labels for labels in theirs}


def ports(rules: list[Mapping[str, Any]]) -> set[int]:
    return {port["port"] for rule in rules for port in rule["ports"]}


@pytest.mark.parametrize("who", sorted(everyone()))
def test_a_pod_reaches_what_its_work_needs_and_nothing_else(who: str) -> None:
    labels = everyone()[who]
    found = [rule for policy in policies("Egress", labels) for rule in policy["spec"].get("egress", [])]
    assert ports(found) == MAY_REACH[labels[ROLE]]
    assert all(rule.get("to") for rule in found), "a rule without `to` opens its port to everywhere"


@pytest.mark.parametrize("who", sorted(everyone()))
def test_a_pod_is_reached_by_those_who_ask_it_and_nobody_else(who: str) -> None:
    labels = everyone()[who]
    found = [rule for policy in policies("Ingress", labels) for rule in policy["spec"].get("ingress", [])]
    role = labels[ROLE]
    if role == "webserver":
        assert ports(found) == {3000}
        assert all("namespaceSelector" in source and "podSelector" not in source for r in found for source in r["from"])
        return
    callers = {
        caller[ROLE]
        for rule in found
        for source in rule["from"]
        for caller in everyone().values()
        if selects(source["podSelector"], caller)
    }
    assert callers == MAY_BE_REACHED_BY.get(role, set())
    assert ports(found) == ({CODE} if callers else set())


def test_everything_that_is_not_allowed_is_refused_in_both_directions() -> None:
    everywhere = named("NetworkPolicy", "nobody")["spec"]
    assert everywhere == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_policy_names_a_role_that_nobody_has() -> None:
    roles = {labels[ROLE] for labels in everyone().values()}
    for policy in of_kind("NetworkPolicy"):
        for rule in policy["spec"]["podSelector"].get("matchExpressions", []):
            assert set(rule.get("values", [])) <= roles


def test_the_ports_are_those_that_the_processes_use() -> None:
    code = named("Service", "code-server")["spec"]
    assert settings()["MILLRACE_CODE_SERVER_HOST"] == "code-server"
    assert code["ports"][0]["port"] == int(settings()["MILLRACE_CODE_SERVER_PORT"]) == CODE
    for name in ("code-server", "webserver"):
        service = named("Service", name)["spec"]
        listening = {port["name"]: port["containerPort"] for port in pods()[name].container["ports"]}
        assert listening == {service["ports"][0]["targetPort"]: service["ports"][0]["port"]}
        assert selects({"matchLabels": service["selector"]}, pods()[name].labels)


def test_no_service_makes_a_variable_that_looks_like_a_setting() -> None:
    names = [service["metadata"]["name"] for service in of_kind("Service")]
    assert not [name for name in names if name.startswith("millrace")]
