"""One supervised stack for all tests of this folder: starting Kafka takes seconds."""

import sys
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from infra.local import embedded, processes, state
from infra.local.plan import Application
from infra.local.services import HOST, LocalService, answers_tcp
from infra.local.stack import Stack


def web_program(directory: Path, ports: Mapping[str, int], settings: Mapping[str, str]) -> list[LocalService]:
    """A program on top of the services, small enough for a test."""
    command = (sys.executable, "-m", "http.server", str(ports["web"]), "--bind", HOST)
    ready = lambda: answers_tcp(ports["web"])  # noqa: E731
    return [LocalService(name="web", command=command, cwd=directory, ready=ready, port=ports["web"], priority=1)]


APPLICATION = Application(
    ports={"web": 18_080},
    environment=lambda directory, _ports: {"MILLRACE_DATA_DIR": str(directory)},
    migrate=(sys.executable, "-c", "import os; print('migrated', os.environ.get('MILLRACE_POSTGRES_URL', '')[:10])"),
    programs=web_program,
)


def expected(stack: Stack) -> list[str]:
    """The programs of the stack, in their order."""
    optional = () if state.load(stack.directory).metrics_off else embedded.OPTIONAL
    return [*embedded.ALL, *optional, "web"]


@pytest.fixture(scope="package")
def any_stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    directory = tmp_path_factory.mktemp("a stack")  # the space is part of the test
    stack = Stack(directory, APPLICATION)
    try:
        yield stack
    finally:
        stack.down(print)
        assert processes.find(stack.directory) == []


@pytest.fixture
def stack(any_stack: Stack) -> Stack:
    """The stack, up."""
    any_stack.up(print, any_free=True)
    return any_stack


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Stack]:
    """A stack of one Redis and the program, not yet up, for what would take long with Kafka."""
    monkeypatch.setattr(embedded, "ALL", ("redis",))
    monkeypatch.setattr(embedded, "OPTIONAL", ())
    stack = Stack(tmp_path, APPLICATION)
    yield stack
    stack.down(print)
    assert processes.find(stack.directory) == []
