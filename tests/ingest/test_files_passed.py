"""How many files one has to open to follow a clean event from the poll to COMMIT."""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest

from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
OURS = tuple(f"{ROOT / package}/" for package in ("contract", "resources", "monitoring", "assets"))
MOST_FILES = 20


class FilesPassed:
    """The files whose functions run between the first poll of a chunk and its COMMIT, in any thread."""

    def __init__(self) -> None:
        self.functions: dict[str, set[str]] = {}
        self.polled = self.committed = False

    def __call__(self, frame: FrameType, what: str, argument: Any) -> None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        self.polled |= what == "c_call" and getattr(argument, "__name__", "") == "consume"
        if not self.polled or self.committed or not path.startswith(OURS):
            return
        self.functions.setdefault(path.removeprefix(f"{ROOT}/"), set()).add(name)
        self.committed = what == "return" and (name, Path(path).name) == ("commit", "postgres.py")

    def __enter__(self) -> Self:
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def test_a_clean_event_passes_few_files_from_the_poll_to_the_commit(world: World) -> None:
    world.worker.failpoint = lambda _: None  # as in production
    world.produce(encoded(event()))
    world.ingest()
    world.produce(encoded(event()))
    with FilesPassed() as passed:
        world.ingest()
    assert world.one("select count(*) from raw.events") == 2
    assert passed.committed
    assert len(passed.functions) <= MOST_FILES, "\n".join(
        f"{path}: {', '.join(sorted(names))}" for path, names in sorted(passed.functions.items())
    )
