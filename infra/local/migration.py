"""The step between the services and the programs: a command that runs to its end.

What belongs here: running it, and telling how it went. What does not: what it does.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from infra.local import processes
from infra.local.sequence import Report, StartStep
from infra.local.services import LocalError, tail

NAME = "migrate"
_SECONDS = 300


def run(command: tuple[str, ...], directory: Path, environment: Mapping[str, str], report: Report) -> None:
    """Run the command with its output in a log of its own.

    Raises:
        LocalError: it failed or took too long; with the last lines of its log.
    """
    report(StartStep(NAME, "busy", "bringing the tables and topics up to date"))
    log = directory / "logs" / f"{NAME}.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            command, cwd=directory, env=dict(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
        problem = _problem(child)
    if problem:
        report(StartStep(NAME, "failed"))
        raise LocalError(f"the migration {problem}; the end of {log}:\n{tail(log) or '(nothing)'}")
    report(StartStep(NAME, "ready"))


def _problem(child: subprocess.Popen[bytes]) -> str:
    try:
        return "failed" if child.wait(_SECONDS) else ""
    except subprocess.TimeoutExpired:
        processes.kill_tree(psutil.Process(child.pid))
        return f"did not end within {_SECONDS} s"
    except BaseException:
        processes.kill_tree(psutil.Process(child.pid))
        raise
