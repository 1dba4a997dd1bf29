"""`millrace up` on a stack that is up says what it was started with, other than it would be now."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from infra.local import files, state
from orchestration import code_version
from orchestration.cli import programs, stack_view
from orchestration.settings import variable


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of a stack which was started with three lanes and the code of now."""
    monkeypatch.setenv(variable("lanes"), "3")
    files.secret(tmp_path / "postgres" / "password")
    application = programs.application()
    ports = {"code-server": 1, "postgres": 2}
    state.save(tmp_path, state.StackState(ports=ports, code=application.code))
    state.save_environment(tmp_path, application.environment(tmp_path, ports))
    return tmp_path


def test_a_stack_with_the_settings_and_the_code_of_now_differs_in_nothing(directory: Path) -> None:
    assert programs.differences(programs.application(), directory) == []


def test_other_settings_and_other_code_are_named_without_values(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable("lanes"))
    monkeypatch.setenv(variable("analyst_password"), "a-new-password")
    other = replace(programs.application(), code="another")
    found = programs.differences(other, directory)
    assert found == ["the setting MILLRACE_ANALYST_PASSWORD", "the setting MILLRACE_LANES", "the code"]
    console = Console(record=True, width=200)
    stack_view.differs(console, found, " --data-dir d")
    said = console.export_text()
    assert "MILLRACE_LANES, the code" in said
    assert "up --restart --detach --data-dir d" in said
    assert "Reload definitions" in said


def test_a_stack_of_an_earlier_release_says_nothing_of_its_code(directory: Path) -> None:
    state.save(directory, replace(state.load(directory), code=""))
    assert programs.differences(replace(programs.application(), code="another"), directory) == []


def test_the_code_has_another_version_when_a_file_of_it_changes_and_not_for_others(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.sql").write_text("select 1")
    before = code_version.digest(tmp_path)
    (tmp_path / "assets" / "notes.txt").write_text("not code")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("")
    assert code_version.digest(tmp_path) == before
    (tmp_path / "assets" / "a.sql").write_text("select 2")
    assert code_version.digest(tmp_path) != before
