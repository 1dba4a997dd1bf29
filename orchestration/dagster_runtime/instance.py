"""The folder and the files by which Dagster's processes find each other.

What belongs here: placing the packaged `dagster.yaml`, naming the packaged `workspace.yaml`, and checking that a
process was told where they and the code server are. What does not: starting the processes (`infra.local`).
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestration.secret_files import SettingsError

_HERE = Path(__file__).parent
_HOME = "DAGSTER_HOME"
# Dagster reads these itself, by the packaged files; they are not settings of Millrace.
_EXAMPLES = {
    _HOME: "/var/lib/millrace/dagster",
    "MILLRACE_CODE_SERVER_HOST": "127.0.0.1",
    "MILLRACE_CODE_SERVER_PORT": "4266",
}


def prepare_home(directory: Path) -> None:
    """Make a folder fit to be DAGSTER_HOME, or bring it up to date; what Dagster keeps in it stays.

    Replaced in one step, since a process that starts meanwhile reads either the old file or the new one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f"dagster.yaml.{os.getpid()}"
    fresh.write_text((_HERE / "dagster.yaml").read_text())
    fresh.replace(directory / "dagster.yaml")


def make_home(environment: Mapping[str, str]) -> None:
    """Prepare the folder of DAGSTER_HOME where it is missing or empty; any other is its owner's.

    Raises:
        SettingsError: it cannot be made.
    """
    directory = Path(environment.get(_HOME) or "")
    if not directory.is_absolute():
        return
    try:
        if not directory.exists() or not any(directory.iterdir()):
            prepare_home(directory)
    except OSError as error:
        raise SettingsError(f"{_HOME}: {directory} cannot be made: {error.strerror}") from None


def workspace_file() -> Path:
    """The workspace of a whole stack: one code server at MILLRACE_CODE_SERVER_HOST and _PORT."""
    return _HERE / "workspace.yaml"


def write_events_in_batches() -> None:
    """Have Dagster, in this process, write what comes at once 500 events at a time.

    Else each partition of a backfill is a transaction of its own, when its run is made and when it ends: half a minute
    each for three months of hours. Called before an instance is made.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")


def ask_the_code_server_less_often() -> None:
    """Have the daemon, or the web server, ask every three seconds whether the code server has other definitions.

    Dagster asks each second, on a new connection, and has no setting for it. As before, ten seconds without an answer
    are an error.
    """
    from dagster._grpc import server_watcher  # who prepares a home waits for no import of Dagster

    server_watcher.WATCH_INTERVAL, server_watcher.MAX_RECONNECT_ATTEMPTS = 3, 3


def check_environment(environment: Mapping[str, str], *, code_server: bool) -> None:
    """Check what Dagster would fail on late, or not at all: without a dagster.yaml it quietly stores all in files.

    Raises:
        SettingsError: one line for each variable that is missing or wrong.
    """
    names = _EXAMPLES if code_server else (_HOME,)
    lines = [f"{name}: is not set; for example {name}={_EXAMPLES[name]}" for name in names if not environment.get(name)]
    home = environment.get(_HOME)
    if home and not (Path(home).is_absolute() and (Path(home) / "dagster.yaml").is_file()):
        lines.append(f"{_HOME}: expected an absolute path of a folder with a dagster.yaml, found {home}")
    if lines:
        raise SettingsError("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "usage: python -m orchestration.dagster_runtime.instance DIRECTORY   (prints the workspace file's path)"
        )
    prepare_home(Path(sys.argv[1]))
    sys.stdout.write(f"{workspace_file()}\n")
