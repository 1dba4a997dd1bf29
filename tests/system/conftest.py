"""One whole stack for the tests of this folder."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import pytest

from tests.system.system import System, system


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Generator[System]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_METRICS_INTERVAL", "1s")  # alerts are watched in a hurry
        # Backfills are begun for days before the first event, too.
        patch.setenv("MILLRACE_HISTORY_START", f"{datetime.now(UTC) - timedelta(days=7):%Y-%m-%d}")
        with system(tmp_path_factory.mktemp("system")) as made:
            yield made
