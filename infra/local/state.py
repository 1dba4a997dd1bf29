"""What a data directory remembers of its stack: ports, programs, the supervisor, the settings that reach it.

What belongs here: `stack.json`, and `environment.json`, which holds a password and is its owner's only.
What does not: finding out how the programs are (`supervisor`). Nothing here imports a client: `millrace
env` must be quick.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.local import files, processes


@dataclass(frozen=True)
class Program:
    """What has to be known of a program to show it and to stop it."""

    name: str
    port: int | None
    priority: int
    stop_seconds: int


@dataclass(frozen=True)
class StackState:
    """The content of `stack.json`."""

    ports: dict[str, int] = field(default_factory=dict[str, int])
    programs: tuple[Program, ...] = ()
    supervisor: int | None = None
    """The supervisor's process id; None when the stack was brought down in order."""
    metrics_off: str = ""
    """Why the stack has no Pushgateway, Prometheus and Alertmanager of its own; empty when it has."""
    code: str = ""
    """The version of the code that its programs were started with."""


def load(directory: Path) -> StackState:
    """What is remembered; an empty state for a directory that is new or whose file is damaged."""
    try:
        found = json.loads((directory / "stack.json").read_text())
        programs = tuple(Program(**program) for program in found.pop("programs"))
        return StackState(programs=programs, **found)
    except (OSError, ValueError, TypeError, KeyError):
        return StackState()


def save(directory: Path, state: StackState) -> None:
    """Remember."""
    files.write(directory / "stack.json", json.dumps(asdict(state), indent=2) + "\n")


def supervisor(directory: Path) -> int | None:
    """The process id of the directory's supervisor, if it lives."""
    pid = load(directory).supervisor
    return pid if pid is not None and processes.is_supervisor(pid, directory) else None


def environment(directory: Path) -> dict[str, str]:
    """The settings that reach the stack that was last started here."""
    try:
        return json.loads((directory / "environment.json").read_text())
    except (OSError, ValueError):
        return {}


def save_environment(directory: Path, environment: Mapping[str, str]) -> None:
    """Remember the settings that reach the stack; the database's password is among them."""
    files.write(directory / "environment.json", json.dumps(dict(environment), indent=2) + "\n", 0o600)
