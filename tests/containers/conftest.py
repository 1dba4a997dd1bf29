"""One stack for all tests of this folder that only look at it: to start it takes most of a minute."""

from collections.abc import Iterator

import pytest

from tests.containers.stack import Stack, require_engine, stack


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that was started from nothing and is healthy."""
    require_engine()
    with stack(tmp_path_factory.mktemp("deployment")) as made:
        made.up()
        yield made
