"""Fixtures that every room of the tests may use: real services, started once, and a fresh world for each test.

A test that is not marked `services`, `stack` or `chaos` gets no services: it says so if it asks for them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from xdist.remote import Producer

from infra.local.harness import Running, running
from tests.support import cluster, workers
from tests.support.world import World, fresh_world


def pytest_configure() -> None:
    """Kafka serves a test for seconds: it need not compile its own code as well as it could, which costs more."""
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.hookimpl(optionalhook=True)  # `-p no:xdist` is nobody's mistake
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`."""
    return workers.number()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> workers.Units | None:
    """`--dist loadfile` as it suits these tests."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # their order says more than their number of tests
    return workers.Units(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several processes have an order of their own; one has that of the files."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: workers.rank(item.nodeid))


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """PostgreSQL, both Redis servers and Kafka, for the whole session; `make test-postgres` names a release."""
    directory, release = tmp_path_factory.mktemp("services"), os.environ.get("MILLRACE_TEST_POSTGRES")
    with cluster.running_on(int(release), directory) if release else running(directory) as started:
        _without_fsync(started.environment["MILLRACE_POSTGRES_URL"])
        yield started


def _without_fsync(url: str) -> None:
    """Tests kill PostgreSQL, never the machine: what it wrote is there without waiting for the disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A database and a topic of its own on the session's services."""
    if not any(request.node.get_closest_marker(m) for m in ("services", "chaos")):
        pytest.fail("a test that needs real services is marked with @pytest.mark.services")
    started: Running = request.getfixturevalue("services")
    with fresh_world(started, tmp_path) as made:
        yield made
