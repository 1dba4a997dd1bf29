"""A code location for the engine's tests: a sensor that ticks each second, and jobs that are trivial or slow."""

import time

from dagster import (
    DefaultSensorStatus,
    Definitions,
    OpExecutionContext,
    RunRequest,
    SensorEvaluationContext,
    in_process_executor,
    job,
    op,
    sensor,
)


@op
def trivial(context: OpExecutionContext) -> None:
    context.log.debug("done")


@op(config_schema={"seconds": float})
def slow(context: OpExecutionContext) -> None:
    end = time.monotonic() + context.op_config["seconds"]
    while time.monotonic() < end:
        time.sleep(0.05)


@job(tags={"dagster-celery/queue": "ingest", "dagster/max_runtime": "60"})
def trivial_job() -> None:
    trivial()


@job(tags={"dagster-celery/queue": "ingest"})
def slow_job() -> None:
    slow()


@job
def default_queue_job() -> None:
    trivial()


@sensor(job=trivial_job, minimum_interval_seconds=1, default_status=DefaultSensorStatus.RUNNING)
def every_second(context: SensorEvaluationContext) -> RunRequest:
    return RunRequest(run_config={})


defs = Definitions(
    jobs=[trivial_job, slow_job, default_queue_job], sensors=[every_second], executor=in_process_executor
)
