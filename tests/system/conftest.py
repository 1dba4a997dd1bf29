"""One whole stack for the tests of this folder."""

from collections.abc import Generator

import pytest

from tests.system.system import System, system


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Generator[System]:
    with system(tmp_path_factory.mktemp("system")) as made:
        yield made
