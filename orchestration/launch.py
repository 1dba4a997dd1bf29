"""Starts a run of an asset job for a range of partitions, and follows it, from a process that is not Dagster's.

What belongs here: what `dagster job launch` does, for a part of a job's assets; and what is said of a run while it goes
on. What does not: arguments and printing (`cli`). Dagster's code server tells what a job is made of.
"""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from dagster import AssetKey, DagsterInstance, DagsterRunStatus, TimeWindowPartitionsDefinition
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.remote_representation.code_location import CodeLocation
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from orchestration.dagster_runtime import instance as home

LOCATION = "millrace"
_LOOK_SECONDS = 0.5


class LaunchError(Exception):
    """A run could not be started; its text says why."""


class RunProgress(NamedTuple):
    """What is known of a run at one moment."""

    status: DagsterRunStatus
    message: str | None

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.status in (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)


@contextmanager
def workspace(instance: DagsterInstance) -> Generator[WorkspaceRequestContext]:
    """The workspace of the stack.

    Raises:
        LaunchError: the code server does not answer.
    """
    target = WorkspaceFileTarget([str(home.workspace_file())])
    with WorkspaceProcessContext(instance, target) as process:
        context = process.create_request_context()
        if not context.has_code_location(LOCATION):
            raise LaunchError("Dagster's code server does not answer (MILLRACE_CODE_SERVER_HOST, _PORT)")
        yield context


def first_partition(context: WorkspaceRequestContext, asset: AssetKey) -> datetime:
    """Where the partitions of an asset begin, as Dagster shows them now."""
    [repository] = context.get_code_location(LOCATION).get_repositories().values()
    partitions = repository.asset_graph.get(asset).partitions_def
    if not isinstance(partitions, TimeWindowPartitionsDefinition):
        raise LaunchError(f"{asset.to_user_string()} has no partitions by time")
    return partitions.start


def launch(
    context: WorkspaceRequestContext,
    job: str,
    assets: Sequence[AssetKey],
    tags: Mapping[str, str],
    config: Mapping[str, Any],
) -> str:
    """Start a run; its id.

    Raises:
        LaunchError: there is no such job, or Celery's broker took no run.
    """
    location = context.get_code_location(LOCATION)
    run_id = _create(context.instance, location, job, assets, tags, config)
    try:
        context.instance.submit_run(run_id, context)
    except Exception as error:  # whatever the launcher raises; Dagster has marked the run as failed
        raise LaunchError(str(error)) from error
    return run_id


def _create(
    instance: DagsterInstance,
    location: CodeLocation,
    name: str,
    assets: Sequence[AssetKey],
    tags: Mapping[str, str],
    config: Mapping[str, Any],
) -> str:
    [repository] = location.get_repositories().values()
    job = location.get_job(
        JobSubsetSelector(
            location_name=location.name,
            repository_name=repository.name,
            job_name=name,
            op_selection=None,
            asset_selection=list(assets),
        )
    )
    plan = location.get_execution_plan(
        job, config, step_keys_to_execute=None, known_state=None, instance=instance
    ).execution_plan_snapshot
    return instance.create_run(
        job_name=name,
        run_id=None,
        run_config=config,
        resolved_op_selection=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        op_selection=None,
        status=None,
        root_run_id=None,
        parent_run_id=None,
        tags={**job.tags, **tags},
        job_snapshot=job.job_snapshot,
        execution_plan_snapshot=plan,
        parent_job_snapshot=job.parent_job_snapshot,
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
        asset_selection=frozenset(assets),
        asset_check_selection=None,
        asset_graph=repository.asset_graph,
    ).run_id


def follow(instance: DagsterInstance, run_id: str) -> Iterator[RunProgress]:
    """What a run says, twice a second, until it has ended."""
    cursor = None
    while True:
        # Asked in this order: what a run said before it ended is never left out.
        run = instance.get_run_by_id(run_id)
        records = instance.get_records_for_run(run_id, cursor=cursor)
        cursor = records.cursor
        said = [entry.user_message for entry in (r.event_log_entry for r in records.records) if not entry.dagster_event]
        status = run.status if run else DagsterRunStatus.FAILURE
        found = RunProgress(status, said[-1] if said else None)
        yield found
        if found.over:
            return
        time.sleep(_LOOK_SECONDS)
