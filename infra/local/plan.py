"""What a stack consists of, before anything is started: its directory, its ports, what runs on the services.

What belongs here: decisions that can be refused with a clear text. What does not: starting (`stack`).
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local import embedded, monitoring, ports
from infra.local.services import LocalError, LocalService

# Each of these means something in a configuration file of supervisord, Redis or Kafka.
_UNWELCOME = frozenset("%,;#\"'\\\n")
_ELSEWHERE = "choose another: --data-dir DIR"


@dataclass(frozen=True)
class Application:
    """What runs on top of the services; handed in, for the embedded stack knows nothing of Dagster."""

    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    """The names of its ports, with their defaults."""
    environment: Callable[[Path, Mapping[str, int]], Mapping[str, str]] = lambda _directory, _ports: {}
    """Settings beyond those of the services, from the data directory and the chosen ports."""
    prepare: Callable[[Path], None] = lambda _directory: None
    """Makes what has to be there before the programs start; called with the data directory."""
    migrate: tuple[str, ...] | None = None
    """A command that runs once the services are ready, before any program starts; it may run again and again."""
    programs: Callable[[Path, Mapping[str, int], Mapping[str, str]], list[LocalService]] = lambda _d, _p, _e: []
    """The programs, with priorities above 0, from the data directory, the ports and all settings."""
    metrics_off: str = ""
    """Why the stack needs no Pushgateway, Prometheus and Alertmanager of its own; empty when it is to have them."""
    code: str = ""
    """The version of the programs' code, by which a stack that is up is known to run another one."""


def data_directory(path: Path) -> Path:
    """A data directory's absolute path; the directory is made if need be.

    Raises:
        LocalError: it cannot be one.
    """
    directory = path.expanduser().absolute().resolve()
    if bad := sorted(_UNWELCOME.intersection(str(directory))):
        raise LocalError(
            f"the data directory's path may not contain {' '.join(map(repr, bad))}: {directory}; {_ELSEWHERE}"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"the data directory cannot be made: {error}; {_ELSEWHERE}") from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise LocalError(f"the data directory is not writable: {directory}; {_ELSEWHERE}")
    return directory


def choose_ports(
    defaults: Mapping[str, int], given: Mapping[str, int], remembered: Mapping[str, int], *, any_free: bool
) -> dict[str, int]:
    """The port of each name: the given one, else the one used before, else the default or any free one.

    Raises:
        LocalError: an unknown name, a port that is given twice, or one that somebody else holds; all of
        them at once.
    """
    if unknown := sorted(set(given) - set(defaults)):
        raise LocalError(f"no such port: {', '.join(unknown)}; there are {', '.join(defaults)}")
    chosen = {name: given.get(name) or remembered.get(name) or default for name, default in defaults.items()}
    if any_free:
        movable = [n for n in defaults if n not in given and (n not in remembered or not ports.is_free(chosen[n]))]
        fixed = [port for name, port in chosen.items() if name not in movable]
        chosen |= dict(zip(movable, ports.free(len(movable), fixed), strict=True))
    _refuse_twins(chosen)
    _refuse_taken(chosen)
    return chosen


def all_ports(application: Application) -> dict[str, int]:
    """Every port of a stack by name, with its default."""
    absent = embedded.OPTIONAL if metrics_off(application) else ()
    return {**application.ports, **{name: port for name, port in embedded.PORTS.items() if name not in absent}}


def metrics_off(application: Application) -> str:
    """Why a stack cannot have or need not have the optional services, in one line; empty when it is to have them."""
    return application.metrics_off or monitoring.problem()


def _refuse_twins(chosen: Mapping[str, int]) -> None:
    for name, port in chosen.items():
        twins = [other for other in chosen if chosen[other] == port]
        if len(twins) > 1:
            raise LocalError(f"{' and '.join(twins)} cannot share port {port}; give {name} another: {_how(name)}")


def _refuse_taken(chosen: Mapping[str, int]) -> None:
    taken = [(name, port) for name, port in chosen.items() if not ports.is_free(port)]
    if taken:
        lines = [f"port {port} ({name}) is held by {ports.holder(port)}" for name, port in taken]
        choice = " ".join(_how(name) for name, _ in taken)
        raise LocalError("\n".join([*lines, f"End it, choose other ports ({choice}), or take any: --free-ports"]))


def _how(name: str) -> str:
    """An option that works as it stands: the port is free."""
    return f"--port {name}={ports.free(1)[0]}"
