import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from infra.local import files, processes
from infra.local.stack import Stack
from tests.local.conftest import expected

_MILLRACE = (sys.executable, "-m", "orchestration.cli")


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MILLRACE_")}
    command = (*_MILLRACE, *arguments)
    return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)


@pytest.mark.stack
def test_the_lines_of_env_reach_the_services(stack: Stack) -> None:
    directory = shlex.quote(str(stack.directory))
    program = f'eval "$({shlex.join(_MILLRACE)} env --data-dir {directory})" && printf %s "$MILLRACE_POSTGRES_URL"'
    answer = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    with psycopg.connect(answer.stdout) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.stack
def test_the_data_directory_may_come_from_the_environment_and_env_may_be_json(stack: Stack) -> None:
    answer = run("env", "--json", MILLRACE_DATA_DIR=str(stack.directory))
    assert json.loads(answer.stdout)["MILLRACE_DATA_DIR"] == str(stack.directory)


@pytest.mark.stack
def test_status_of_a_stack_that_is_up_is_a_success_and_lists_its_programs(stack: Stack) -> None:
    answer = run("status", "--json", "--data-dir", str(stack.directory))
    assert answer.returncode == 0
    found = json.loads(answer.stdout)
    assert found["up"] is True
    assert [program["name"] for program in found["programs"]] == expected(stack)
    assert all(Path(program["log"]).exists() for program in found["programs"])
    shown = run("status", "--data-dir", str(stack.directory))
    assert all(program["log"] in shown.stdout for program in found["programs"])


def test_without_a_stack_env_and_status_fail_and_say_how_to_start_one(tmp_path: Path) -> None:
    env, status = (run(name, "--data-dir", str(tmp_path / "none")) for name in ("env", "status"))
    assert (env.returncode, env.stdout) == (1, "")
    where = f"up --data-dir {tmp_path / 'none'} --detach"
    assert where in env.stderr
    assert status.returncode == 1
    assert where in status.stdout
    assert not (tmp_path / "none").exists()


def test_status_names_what_runs_without_a_supervisor_and_how_to_end_it(tmp_path: Path) -> None:
    directory = tmp_path.resolve()
    idle = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(idle, env={**os.environ, **processes.marker(directory)}) as orphan:
        try:
            status, listed = (
                run("status", "--data-dir", str(directory)),
                run("status", "--json", "--data-dir", str(directory)),
            )
        finally:
            orphan.kill()
    assert (status.returncode, listed.returncode) == (1, 1)
    assert "1 python" in status.stdout
    assert f"run in {directory} without a supervisor; to end them: " in status.stdout
    assert f"down --data-dir {directory};" in status.stdout
    assert json.loads(listed.stdout)["without_supervisor"] == [orphan.pid]


@pytest.mark.parametrize("by_make", [False, True])
def test_the_advice_of_an_error_works_word_for_word(tmp_path: Path, by_make: bool) -> None:
    """The command that the text gives is called: it goes on to the next trouble, or is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = f"webserver={taken.getsockname()[1]}"
        more = {"MILLRACE_CALLED_BY": "make demo"} if by_make else {}
        answer = run("demo", "--data-dir", str(tmp_path), "--port", ports, **more)
    assert answer.returncode == 1
    [advice] = re.findall(r"as in: (.+)", answer.stderr)
    given = f"--data-dir {tmp_path} --port {ports}"
    assert (
        advice == f'make demo ARGS="{given} --free-ports"'
        if by_make
        else advice.endswith(f"millrace demo {given} --free-ports")
    )
    other = int(re.findall(r"--port webserver=(\d+)", answer.stderr)[0])
    socket.create_server(("127.0.0.1", other)).close()  # it is free


def test_a_data_directory_in_use_and_one_that_cannot_be_are_told_with_another_one(tmp_path: Path) -> None:
    (tmp_path / "a#b").mkdir()
    with files.locked(tmp_path / "lock"):
        for directory in (tmp_path, tmp_path / "a#b", Path("/proc/none")):
            answer = run("up", "--detach", "--data-dir", str(directory))
            assert answer.returncode == 1
            assert "choose another: --data-dir DIR" in answer.stderr
            assert "up --detach --data-dir ~/millrace-data" in answer.stderr


def test_make_hands_arguments_on_to_the_demo() -> None:
    told = subprocess.run(
        ["make", "-n", "demo", "ARGS=--free-ports"], capture_output=True, text=True, check=True
    ).stdout
    assert 'MILLRACE_CALLED_BY="make demo" .venv/bin/millrace demo --free-ports' in told


def test_down_without_a_stack_says_so_and_is_a_success(tmp_path: Path) -> None:
    answer = run("down", "--data-dir", str(tmp_path))
    assert (answer.returncode, answer.stdout) == (0, f"nothing runs in {tmp_path}\n")


def test_the_doctor_answers_in_json(tmp_path: Path) -> None:
    answer = run("doctor", "--json", "--data-dir", str(tmp_path))
    found = {finding["name"]: finding for finding in json.loads(answer.stdout)}
    assert found["postgres"]["text"].startswith("postgres (PostgreSQL) 18")
    assert found["java"]["level"] == found["redis"]["level"] == "OK"
    assert answer.returncode == (1 if "FAIL" in {finding["level"] for finding in found.values()} else 0)


@pytest.mark.parametrize(
    ("arguments", "settings", "complaint"),
    [
        (("--port", "webserver=high"), {}, "expected NAME=PORT"),
        (("--port", "web=3001"), {}, "no such port: web; there are webserver, code-server"),
        ((), {"MILLRACE_PORTS": "kafka=7,redis=7"}, "cannot share port 7"),
        ((), {"MILLRACE_LANES": "many"}, "MILLRACE_LANES"),
    ],
)
def test_up_refuses_what_is_wrong_before_it_starts_anything(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], complaint: str
) -> None:
    answer = run("up", "--detach", "--data-dir", str(tmp_path), *arguments, **settings)
    assert answer.returncode in {1, 2}
    assert complaint in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "postgres").exists()


def test_env_imports_neither_dagster_nor_a_client() -> None:
    code = "import sys, orchestration.cli.stack; print([m for m in sys.modules if m in sys.argv])"
    answer = run_python(code, "dagster", "celery", "psycopg", "redis", "confluent_kafka", "rich", "pandas", "jgo")
    assert answer == "[]\n"


def run_python(code: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True).stdout
