"""What the tests of the dashboards ask: a Prometheus with a history, and a PostgreSQL with a shop's events."""

import re
from collections.abc import Iterator

import pytest

from infra.local.harness import Running
from tests.monitoring import demo_data
from tests.monitoring.demo_prometheus import remembering
from tests.monitoring.grafana_queries import targets
from tests.support.world import World, fresh_world


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that has a history, and has recorded what dashboards take from rules."""
    recorded = {name for *_, target in targets("prometheus") for name in re.findall(r"\w+(?::\w+)+", target["expr"])}
    with remembering(tmp_path_factory.mktemp("prometheus"), recorded) as url:
        yield url


@pytest.fixture(scope="module")
def shop(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Four weeks of a shop, stored and aggregated as always."""
    with fresh_world(services, tmp_path_factory.mktemp("world")) as world:
        demo_data.open_shop(world)
        yield world
