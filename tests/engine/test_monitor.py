"""When a run that has not begun is given up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.test_utils import create_run_for_test

from millrace.orchestration.engine.monitor import QueueAwareMonitoringDaemon


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(
        overrides={"run_monitoring": {"enabled": True, "start_timeout_seconds": 30}}
    ) as made:
        yield made


def after_a_look(instance: DagsterInstance, age: timedelta, status: DagsterRunStatus) -> DagsterRunStatus:
    """What the daemon makes of a run of this age."""
    run = create_run_for_test(instance, status=status)
    made = (datetime.now(UTC) - age).replace(tzinfo=None)
    storage: Any = instance.run_storage
    with storage.connect() as connection:
        connection.execute(RunsTable.update().values(create_timestamp=made))
    context: Any = SimpleNamespace(instance=instance)
    QueueAwareMonitoringDaemon(interval_seconds=1).check(context, run.run_id)
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status


def test_a_run_that_is_being_made_for_a_minute_is_let_alone(instance: DagsterInstance) -> None:
    """One for the hours of three months has thousands of partitions to write down before it is sent."""
    still = DagsterRunStatus.NOT_STARTED
    assert after_a_look(instance, timedelta(minutes=1), still) == still


def test_a_run_that_nobody_goes_on_making_is_given_up(instance: DagsterInstance) -> None:
    age, failed = timedelta(minutes=11), DagsterRunStatus.FAILURE
    assert after_a_look(instance, age, DagsterRunStatus.NOT_STARTED) == failed
