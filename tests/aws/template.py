"""The CloudFormation template as a value, and what of it is made with which parameters.

What belongs here: reading and resolving, without AWS. What does not: assertions.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

PATH = Path(__file__).parents[2] / "infra" / "aws" / "millrace.yaml"
NOTHING = object()
REQUIRED = {
    "Repository": "owner/millrace",
    "Ref": "v1.0.0",
    "ImageRepository": "ghcr.io/owner/millrace",
    "ImageTag": "1.0.0",
    "Domain": "millrace.example.org",
    "AllowedCidr": "192.0.2.0/24",
    "AlarmEmail": "ops@example.org",
}
EVERYTHING = {**REQUIRED, "Postgres": "rds", "Redis": "elasticache", "Kafka": "msk-scram", "DeployRepository": "o/m"}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)}


_Loader.add_multi_constructor("!", _short)  # pyright: ignore[reportUnknownMemberType]


@cache
def load() -> dict[str, Any]:
    """The whole template, short forms spelled out. Read once: whoever changes it changes a copy."""
    return yaml.load(PATH.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader


class Made:
    """What the template makes of parameters: conditions decided, what is left out left out."""

    def __init__(self, parameters: Mapping[str, str] = REQUIRED) -> None:
        self.template = load()
        defaults = {n: str(p["Default"]) for n, p in self.template["Parameters"].items() if "Default" in p}
        self.parameters = {**defaults, **parameters}
        present = {n: r for n, r in self.template["Resources"].items() if self.holds(r.get("Condition"))}
        self.resources: dict[str, dict[str, Any]] = {n: self.resolved(r) for n, r in present.items()}

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties of all resources of a type, by their logical id."""
        return {n: r.get("Properties", {}) for n, r in self.resources.items() if r["Type"] == kind}

    def holds(self, name: str | None) -> bool:
        """Whether a condition is true; none is."""
        return name is None or self._true(self.template["Conditions"][name])

    def resolved(self, value: Any) -> Any:
        """A value with its `Fn::If`s decided and references to parameters replaced; others stay as they are."""
        if isinstance(value, list):
            return [r for v in cast("list[Any]", value) if (r := self.resolved(v)) is not NOTHING]
        if not isinstance(value, dict):
            return value
        mapping = cast("dict[str, Any]", value)
        if "Fn::If" in mapping:
            condition, yes, no = mapping["Fn::If"]
            return self.resolved(yes if self.holds(condition) else no)
        if "Ref" in mapping:
            return NOTHING if mapping["Ref"] == "AWS::NoValue" else self.parameters.get(mapping["Ref"], mapping)
        return {k: r for k, v in mapping.items() if (r := self.resolved(v)) is not NOTHING}

    def _true(self, condition: dict[str, Any]) -> bool:
        [(name, value)] = condition.items()
        if name == "Condition":
            return self.holds(value)
        if name == "Fn::Equals":
            left, right = (self.resolved(v) for v in value)
            return left == right
        decided = [self._true(v) for v in value]
        return {"Fn::Not": not decided[0], "Fn::And": all(decided), "Fn::Or": any(decided)}[name]
