"""The manifests of infra/kubernetes as data, and what they mean together.

What belongs here: reading them, and the rules by which Kubernetes joins them (labels, selectors, files). What does not:
assertions. Nothing here needs a cluster, kubectl or helm.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "kubernetes"
ROLE = "millrace/role"
Document = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A kind of pod: one of our workloads, or one that the Dagster chart makes of our values."""

    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    replicas: int | None

    @property
    def container(self) -> Mapping[str, Any]:
        return self.spec["containers"][0]


@cache
def documents() -> tuple[Document, ...]:
    """Everything that is applied, without kustomizations and the chart's values."""
    files = (path for path in sorted(FOLDER.rglob("*.yaml")) if path.name not in ("kustomization.yaml", "values.yaml"))
    return tuple(document for path in files for document in yaml.safe_load_all(path.read_text()) if document)


def of_kind(kind: str) -> list[Document]:
    return [document for document in documents() if document["kind"] == kind]


def named(kind: str, name: str) -> Document:
    return next(document for document in of_kind(kind) if document["metadata"]["name"] == name)


@cache
def pods() -> dict[str, Pod]:
    """Our workloads by their names."""
    return {pod.name: pod for pod in _pods()}


def _pods() -> Iterator[Pod]:
    for document in (*of_kind("Deployment"), *of_kind("Job")):
        template = document["spec"]["template"]
        labels = template["metadata"]["labels"]
        yield Pod(document["metadata"]["name"], labels, template["spec"], document["spec"].get("replicas"))


@cache
def values() -> Document:
    """What the Dagster chart is told."""
    return yaml.safe_load((FOLDER / "chart" / "values.yaml").read_text())


def settings() -> dict[str, str]:
    return named("ConfigMap", "millrace-settings")["data"]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes in what carries these labels; an empty one takes in everything."""
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(_holds(rule, labels) for rule in selector.get("matchExpressions", []))


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if rule["operator"] == "Exists":
        return rule["key"] in labels
    if rule["operator"] == "In":
        return labels.get(rule["key"]) in rule["values"]
    raise NotImplementedError(rule["operator"])


def policies(direction: str, labels: Mapping[str, str]) -> list[Document]:
    """The network policies for this direction ("Ingress", "Egress") that take in a pod with these labels."""
    return [
        policy
        for policy in of_kind("NetworkPolicy")
        if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], labels)
    ]
