"""What `millrace doctor` says of a deployment, beside the machine and its programs (`infra.local.doctor`).

What belongs here: which questions are asked of what. What does not: the questions (`database`, `writing`, `reading`,
`history`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from infra.local import state
from infra.local.preflight import Finding
from orchestration import settings as settings_module
from orchestration.cli.doctor import database, history, reading, writing


def of_stack(directory: Path) -> Iterator[Finding]:
    """Of the stack that runs in a directory, else of what the environment names; nothing where there is neither."""
    home = directory.expanduser().absolute().resolve()
    running = state.environment(home) if state.supervisor(home) else {}
    environment = {**os.environ, **running}
    if address := running.get("MILLRACE_ANALYST_URL"):
        yield database.analysts(address)
    if address := environment.get("MILLRACE_POSTGRES_URL"):
        yield database.database(address)
        yield database.rights(address)
        settings = settings_module.load(environment)
        yield from writing.examine(settings, environment)
        yield from reading.examine(settings)
        yield from history.examine(settings)
