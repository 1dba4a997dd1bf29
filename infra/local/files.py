"""Small files of the data directory: written whole or not at all, secrets readable by their owner only.

What belongs here: writing and locking files. What does not: what is in them.
"""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from infra.local.services import LocalError


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file's content; a reader sees the old or the new text, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
    Path(name).replace(path)


def refusal(folder: Path) -> str:
    """Why a file cannot be written into a folder, which is made if need be; empty if it can. It is gone again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".millrace-") as file:
            file.write(b"\0" * 65_536)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"{folder} cannot be written to: {error.strerror}"
    return ""


def secret(path: Path) -> str:
    """The secret in a file; made of random characters the first time."""
    if not path.exists():
        write(path, secrets.token_urlsafe(24), 0o600)
    return path.read_text().strip()


@contextmanager
def locked(path: Path, *, busy: str | None = None) -> Generator[None]:
    """Hold a file's lock; it ends with the process that holds it, however that ends.

    Args:
        path: the lock file.
        busy: refuse with this text when somebody else has the lock; without it, wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            file.seek(0)
            who = f"{busy} (pid {file.read().strip() or 'unknown'})"
            raise LocalError(f"{who}; wait for it, or choose another: --data-dir DIR") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
