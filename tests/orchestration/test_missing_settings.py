"""Every command that lacks settings says where they come from.

What belongs here: what a person sees who calls a command in a new shell. What does not: which settings are checked how
(`test_settings`).
"""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import processes, state
from orchestration import cli

NEEDS_NONE = {
    "up",
    "down",
    "status",
    "env",
    "doctor",
    "demo",
    "bench",
    "init",
    "alertmanager-config",
    "validate",
    "dashboard",
}
ARGUMENTS = {
    "dead-letters": ("list",),
    "gaps": ("list",),
    "erase": ("--user", "u1", "--yes"),
    "backfill": ("--days", "1"),
    "worker": ("ingest",),
    "health": ("daemon",),
    "send": ("/dev/null",),
}


@pytest.fixture
def new_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a stack, and no settings."""
    for name in cli.os.environ:
        if name.startswith(("MILLRACE_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in NEEDS_NONE])
def test_a_command_without_settings_says_which_and_how_to_get_them(
    name: str, new_shell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, *ARGUMENTS.get(name, ())])
    said = capsys.readouterr().err
    assert "is not set" in said
    assert "millrace up --detach, then eval" in said
    assert ended.value.code == (1 if name == "health" else 2)


def test_where_a_stack_is_up_they_are_to_be_taken_over(new_shell: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = new_shell / ".millrace"
    directory.mkdir()
    # Only its name is looked at: a process that could be the directory's supervisor.
    idle = [sys.executable, "-c", "import time; time.sleep(600)", "supervisor.supervisord"]
    with subprocess.Popen(idle, env=processes.marker(directory)) as supervisor:
        try:
            state.save(directory, state.StackState(supervisor=supervisor.pid))
            with pytest.raises(SystemExit):
                cli.main(["migrate"])
        finally:
            supervisor.kill()
    said = capsys.readouterr().err
    assert f"a stack is up in {directory}; to take its settings over: eval" in said
    assert 'millrace env)"' in said


@pytest.mark.parametrize("command", ["migrate", "psql"])
def test_on_the_settings_of_a_stack_that_is_down_a_command_says_how_to_start_it(
    command: str, new_shell: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = new_shell / ".millrace"
    places = {
        "MILLRACE_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/none",
        "MILLRACE_REDIS_URL": "redis://127.0.0.1:9",
        "MILLRACE_BROKER_URL": "redis://127.0.0.1:9/1",
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    }
    state.save_environment(directory, places)
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        cli.main([command])
    said = capsys.readouterr().err
    assert f"the stack in {directory}, which is not up; start it: " in said
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", "postgresql://nobody@127.0.0.1:8/none")
    monkeypatch.setenv("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:8")
    with pytest.raises(SystemExit):
        cli.main(["migrate"])
    assert "which is not up" not in capsys.readouterr().err, "of other settings nothing is known"
