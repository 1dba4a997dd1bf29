"""A Pushgateway for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.metrics.support import Gateway, free_port


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A fresh one, empty."""
    made = Gateway(free_port())
    made.start()
    try:
        yield made
    finally:
        made.stop()
