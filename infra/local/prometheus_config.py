"""Prometheus's configuration for another network than that of Compose, for which it is written.

What belongs here: replacing addresses. What does not: intervals, jobs and rules (`monitoring/prometheus`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def rendered(text: str, addresses: Mapping[str, str], rules: Path, *, runbook_base: str) -> str:
    """The configuration with other targets.

    Args:
        text: the configuration, whose targets are `name:port`.
        addresses: `host:port` by name. A target that is not named is left out, and so is a job that has no other.
        rules: the folder that the paths of rule files start from.
        runbook_base: what the alerts' links to `docs/runbook.md` begin with.
    """
    found: dict[str, Any] = yaml.safe_load(text)
    found["global"]["external_labels"]["runbook_base"] = runbook_base
    found["rule_files"] = [str(rules / pattern) for pattern in found.get("rule_files", [])]
    found["scrape_configs"] = _reachable(found.get("scrape_configs", []), addresses)
    alerting: dict[str, Any] = found.get("alerting", {})
    found["alerting"] = alerting | {"alertmanagers": _reachable(alerting.get("alertmanagers", []), addresses)}
    return yaml.safe_dump(found, sort_keys=False)


def _reachable(jobs: list[dict[str, Any]], addresses: Mapping[str, str]) -> list[dict[str, Any]]:
    moved = [{**job, "static_configs": _groups(job["static_configs"], addresses)} for job in jobs]
    return [job for job in moved if job["static_configs"]]


def _groups(groups: list[dict[str, Any]], addresses: Mapping[str, str]) -> list[dict[str, Any]]:
    names = [[target.partition(":")[0] for target in group["targets"]] for group in groups]
    targets = [[addresses[name] for name in listed if name in addresses] for listed in names]
    return [{**group, "targets": there} for group, there in zip(groups, targets, strict=True) if there]
