"""The workflows of GitHub Actions, read for tests.

What belongs here: reading. What does not: assertions, and running steps (`run_steps`).
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"


class Step(NamedTuple):
    """One step, and where it stands."""

    workflow: str
    job: str
    content: Mapping[str, Any]


@cache
def workflows() -> dict[str, Any]:
    """Every workflow by the name of its file. `on` is the key True: YAML 1.1 has it so."""
    return {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.y*ml"))}


def jobs() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Workflow, name and content of every job."""
    for workflow, content in workflows().items():
        yield from ((workflow, name, job) for name, job in content["jobs"].items())


def steps() -> Iterator[Step]:
    """Every step of every job; a job that calls a workflow has none."""
    for workflow, name, job in jobs():
        yield from (Step(workflow, name, step) for step in job.get("steps", ()))


def uses() -> Iterator[tuple[str, str]]:
    """File and line of everything that is used, with the comment that names its version."""
    for path in sorted(FOLDER.glob("*.y*ml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "uses:" in line.partition("#")[0]:
                yield path.name, line.partition("uses:")[2].strip()
