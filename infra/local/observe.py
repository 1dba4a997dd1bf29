"""How a stack is: its programs, as the supervisor and its log tell.

What belongs here: reading. What does not: printing it, and the deeper questions of `doctor`.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from infra.local import remote, state
from infra.local.services import LocalError


@dataclass(frozen=True)
class ProgramRow:
    """One program of a stack that is up."""

    name: str
    state: str
    pid: int | None
    uptime_seconds: int | None
    port: int | None
    restarts: int
    log: str
    problem: str = ""

    @property
    def runs(self) -> bool:
        """Whether it is up, and has been for long enough to be trusted."""
        return self.state == "running"


def rows(directory: Path) -> list[ProgramRow] | None:
    """The programs in the order in which they start; None when no stack is up.

    Raises:
        LocalError: there is a supervisor, but it does not answer.
    """
    if state.supervisor(directory) is None:
        return None
    found = remote.Remote(directory).programs()
    starts = _starts(directory / "logs" / "supervisord.log")
    result: list[ProgramRow] = []
    for program in sorted(state.load(directory).programs, key=lambda item: item.priority):
        if (info := found.get(program.name)) is None:
            raise LocalError(f"the supervisor does not know {program.name}; start anew: millrace down, millrace up")
        row = ProgramRow(
            name=program.name,
            state=info["statename"].lower(),
            pid=info["pid"] or None,
            uptime_seconds=max(0, info["now"] - info["start"]) if info["pid"] else None,
            port=program.port,
            restarts=max(0, starts[program.name] - 1),
            log=info["stdout_logfile"],
            problem=info["spawnerr"],
        )
        result.append(row)
    return result


def _starts(log: Path) -> Counter[str]:
    """How often each program was started since the supervisor was; the log's rotation may hide old ones."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return Counter()
    current = text.rpartition("supervisord started with pid")[2]
    return Counter(re.findall(r"spawned: '([^']+)' with pid", current))
