"""What makes a worker's first run as fast as its thousandth.

What belongs here: imports and throw-away work, done before a worker takes runs. What does not: anything that leaves a
trace: the throw-away run lives in an instance in memory.

Done in the parent, before it forks, so that its children, and those that replace them, share the result.
"""

import gc
import importlib
import sys

from dagster import DagsterInstance, job, op
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import reconstruct_repository_def_from_pointer
from dagster._core.workspace.autodiscovery import loadable_targets_from_python_module

DEFINITIONS = "orchestration.definitions"
# What runs name that were queued by the release before the packages moved to the root (0.1).
_FORMER_NAME = "millrace.orchestration.definitions"


def warm_up(code: str) -> None:
    """Import the code and what it needs, build its jobs, run something, and freeze what is there for the fork.

    Raises:
        Exception: whatever the import of the code raises; a worker without its code is of no use.
    """
    importlib.import_module("pandas")
    for target in loadable_targets_from_python_module(code, working_directory=None):
        pointer = CodePointer.from_module(code, target.attribute, working_directory=None)
        reconstruct_repository_def_from_pointer(pointer).load_all_definitions()
    sys.modules.setdefault(_FORMER_NAME, importlib.import_module(code))
    throwaway_run()
    gc.collect()
    gc.freeze()  # else the first collection in a child writes to, and so copies, every page it inherited


def throwaway_run() -> None:
    """One run of a job that does nothing, in an instance that nobody sees."""

    @op
    def nothing() -> None:
        pass

    @job
    def warm_up_job() -> None:
        nothing()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with DagsterInstance.ephemeral() as instance:
        warm_up_job.execute_in_process(run_config=quiet, instance=instance)
