"""Prometheus's programs for tests.

What belongs here: having them or not. What does not: running them (`infra.local.harness`).
"""

import os
from pathlib import Path

import pytest

from infra.local import binaries, monitoring
from infra.local.services import LocalError


def program(name: str) -> Path:
    """The path of `promtool`, say; fetched the first time. Without it the test is skipped; it fails in CI."""
    require()
    return binaries.monitoring(name)


def require() -> None:
    """Go on only if the programs are there."""
    try:
        monitoring.fetch()
    except LocalError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"metrics are off: {error}")
        pytest.skip(f"metrics are off: {error}")
