"""The folder and the files by which Dagster's processes find each other.

What belongs here: placing the packaged `dagster.yaml` and naming the packaged `workspace.yaml`. What does not: starting
the processes (`infra.local`).
"""

import os
from pathlib import Path

_HERE = Path(__file__).parent


def prepare_home(directory: Path) -> None:
    """Make a folder fit to be DAGSTER_HOME, or bring it up to date; what Dagster keeps in it stays.

    Replaced in one step, since a process that starts meanwhile reads either the old file or the new one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f"dagster.yaml.{os.getpid()}"
    fresh.write_text((_HERE / "dagster.yaml").read_text())
    fresh.replace(directory / "dagster.yaml")


def workspace_file() -> Path:
    """The workspace of a whole stack: one code server at MILLRACE_CODE_SERVER_HOST and _PORT."""
    return _HERE / "workspace.yaml"
