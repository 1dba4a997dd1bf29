"""The innermost module of ours names a failure; a folder of the same name in another library does not count as ours."""

from pathlib import Path

import pytest
from dagster_shared.error import SerializableErrorInfo

import sensors
from sensors.failure_causes import of_error

OURS = Path(sensors.__file__).parents[1]
LIBRARIES = OURS / ".venv" / "lib" / "python3.11" / "site-packages"


def frame(path: Path, line: int = 7) -> str:
    return f'  File "{path}", line {line}, in work\n    secret = "patient Doe"\n'


def failed(*paths: Path, name: str = "KeyError", module: str = "") -> str:
    stack = [frame(path) for path in paths]
    return of_error(SerializableErrorInfo(f"{module}{name}: 'Doe'\n", stack, name, None, None))


def test_an_error_is_named_with_the_innermost_module_of_ours() -> None:
    dagster = LIBRARIES / "dagster/_core/execution/plan/execute_step.py"
    run, pull = OURS / "assets/ingest/run.py", OURS / "assets/ingest/pull.py"
    assert failed(dagster, run, pull, LIBRARIES / "psycopg/cursor.py") == "KeyError in assets.ingest.pull"


@pytest.mark.parametrize("package", ["events", "contract", "resources", "assets", "infra", "monitoring", "sensors"])
def test_a_frame_in_a_folder_of_that_name_in_a_library_is_not_ours(package: str) -> None:
    inner = LIBRARIES / "celery" / package / "dispatcher.py"
    assert failed(inner) == "KeyError"
    assert failed(OURS / "orchestration/dagster_runtime/worker.py", inner) == (
        "KeyError in orchestration.dagster_runtime.worker"
    )


def test_what_is_installed_in_another_folder_is_not_ours() -> None:
    assert failed(Path("/elsewhere/assets/ingest/run.py")) == "KeyError"
    assert failed(OURS / "tests/sensors/test_failure_causes.py") == "KeyError"


def test_an_exception_of_ours_needs_no_module() -> None:
    inner = OURS / "assets/ingest/pull.py"
    assert failed(inner, name="TopicReplaced", module="assets.ingest.pull.") == "TopicReplaced"
    assert failed(inner, name="Odd", module="assetsx.library.") == "Odd in assets.ingest.pull"
