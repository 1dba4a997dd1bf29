"""A Dagster instance in a test's own database.

What belongs here: making it. What does not: what runs in it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

_STORAGES = {"run_storage": "PooledRunStorage", "event_log_storage": "PooledEventLogStorage"}


@contextmanager
def instance_in(url: str, directory: Path) -> Generator[dg.DagsterInstance]:
    """An instance whose tables are in the given database, by our storages."""
    overrides: dict[str, Any] = {
        name: {
            "module": "orchestration.dagster_runtime.storages",
            "class": kind,
            "config": {"postgres_url": url},
        }
        for name, kind in {**_STORAGES, "schedule_storage": "PooledScheduleStorage"}.items()
    }
    directory.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.local_temp(
        str(directory), overrides={**overrides, "telemetry": {"enabled": False}}
    ) as instance:
        yield instance
