"""One world for all tests of a module, with days as partitions also in the past; emptied for each test."""

from collections.abc import Iterator

import pytest

from infra.local.harness import Running
from tests.aggregates.compare import Stage
from tests.support.world import World, fresh_world

FIRST_DAY = "2026-06-15"  # what is older is in events_old


@pytest.fixture(scope="module")
def long_world(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world for a module; use it by `stage`."""
    with fresh_world(services, tmp_path_factory.mktemp("aggregates"), MILLRACE_MIN_TIMESTAMP="off") as made:
        made.query("drop table raw.events_old")
        bounds = f"for values from (minvalue) to ('{FIRST_DAY} 00:00+00')"
        made.query(f"create table raw.events_old partition of raw.events {bounds}")
        made.refresh()  # nothing is there: it notes tables that no migration has noted yet as whole
        yield made


@pytest.fixture
def stage(long_world: World) -> Stage:
    """The module's world, empty."""
    made = Stage(long_world)
    made.clear()
    return made
