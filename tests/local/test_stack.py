import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from infra.local import doctor, embedded, files, observe, plan, processes, state
from infra.local.sequence import StartStep
from infra.local.services import LocalError
from infra.local.stack import Stack
from tests.local.conftest import APPLICATION, expected, web_program
from tests.support.command_lines import command_lines

pytestmark = pytest.mark.stack


def eventually(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.1)


def rows(stack: Stack) -> dict[str, observe.ProgramRow]:
    return {row.name: row for row in observe.rows(stack.directory) or []}


def test_everything_runs_in_its_order(stack: Stack) -> None:
    found = rows(stack)
    assert list(found) == expected(stack)
    assert all(row.runs for row in found.values())
    assert "migrated postgresql" in (stack.logs / "migrate.log").read_text()


def test_a_second_up_says_that_it_is_up(stack: Stack) -> None:
    before = {name: row.pid for name, row in rows(stack).items()}
    steps: list[StartStep] = []
    assert Stack(stack.directory, APPLICATION).up(steps.append) == "was up"
    assert steps == []
    assert {name: row.pid for name, row in rows(stack).items()} == before


def test_a_second_up_with_another_port_is_refused(stack: Stack) -> None:
    with pytest.raises(LocalError, match="another port for web; first: millrace down"):
        stack.up(print, ports={"web": 1})


def test_the_settings_reach_the_services(stack: Stack) -> None:
    settings = state.environment(stack.directory)
    assert settings["MILLRACE_DATA_DIR"] == str(stack.directory)
    with psycopg.connect(settings["MILLRACE_POSTGRES_URL"]) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert redis.Redis.from_url(settings["MILLRACE_REDIS_URL"]).ping()


def test_the_settings_are_their_owners_only_and_no_secret_is_elsewhere(stack: Stack) -> None:
    secret = (stack.directory / "postgres" / "password").read_text()
    told = [path for path in stack.directory.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert {path.name for path in told} == {"environment.json", "password"}
    assert [path.stat().st_mode & 0o077 for path in told] == [0, 0]
    assert all(secret not in " ".join(line) for line in command_lines(stack.directory))


@pytest.mark.parametrize("name", ["web", "redis", "postgres"])
def test_a_program_that_is_killed_is_started_again(stack: Stack, name: str) -> None:
    before = rows(stack)[name]
    assert before.pid
    os.kill(before.pid, signal.SIGKILL)
    eventually(lambda: rows(stack)[name].pid not in {None, before.pid} and rows(stack)[name].runs)
    assert rows(stack)[name].restarts > before.restarts
    if name in (*embedded.ALL, *embedded.OPTIONAL):
        eventually(embedded.described(name, stack.directory, state.load(stack.directory).ports).ready)


def test_the_doctor_finds_a_running_stack_well(stack: Stack) -> None:
    found = {finding.name: finding for finding in doctor.examine(stack.directory, APPLICATION)}
    assert {name: found[name].level for name in rows(stack)} == dict.fromkeys(rows(stack), "OK")
    assert found["postgres"].text.endswith("answers")


def test_a_process_that_only_has_the_settings_is_not_of_the_stack(stack: Stack) -> None:
    environment = {**os.environ, **state.environment(stack.directory)}
    with psutil.Popen([sys.executable, "-c", "input()"], env=environment, cwd=stack.directory, stdin=-1) as child:
        assert child.pid not in {process.pid for process in processes.find(stack.directory)}


def test_after_a_crash_up_sweeps_first_and_keeps_ports_and_data(stack: Stack) -> None:
    settings = state.environment(stack.directory)
    with psycopg.connect(settings["MILLRACE_POSTGRES_URL"]) as connection:
        connection.execute("create table survivor (id int)")
    pid = state.supervisor(stack.directory)
    assert pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: state.supervisor(stack.directory) is None)
    assert stack.up(print) == "started"
    assert state.environment(stack.directory) == settings
    with psycopg.connect(settings["MILLRACE_POSTGRES_URL"]) as connection:
        connection.execute("drop table survivor")
    lines = command_lines(stack.directory)
    assert len([line for line in lines if "-D" in line and Path(line[0]).name == "postgres"]) == 1


def test_after_the_supervisor_is_killed_down_leaves_nothing(stack: Stack) -> None:
    orphans = processes.find(stack.directory)
    pid = state.supervisor(stack.directory)
    assert pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: state.supervisor(stack.directory) is None)
    assert observe.rows(stack.directory) is None
    left = stack.down(print)
    assert "1 java" in left
    assert "postgres" in left
    assert not [process for process in orphans if processes.is_alive(process)]
    assert stack.down(print) == ""


def test_a_frozen_supervisor_does_not_keep_down_from_ending_everything(small: Stack) -> None:
    small.up(print, any_free=True)
    pid = state.supervisor(small.directory)
    assert pid
    os.kill(pid, signal.SIGSTOP)
    small.down(print)
    assert processes.find(small.directory) == []


def test_a_program_that_ends_again_and_again_is_reported_with_its_log_and_nothing_is_left(small: Stack) -> None:
    def broken(directory: Path, ports: dict[str, int], settings: dict[str, str]) -> list[plan.LocalService]:
        web = web_program(directory, ports, settings)[0]
        return [dataclasses.replace(web, command=(sys.executable, "-c", "raise SystemExit('no such module')"))]

    steps: list[StartStep] = []
    with pytest.raises(LocalError, match=r"(?s)web ends again and again; the end of .*web\.log:.*no such module"):
        Stack(small.directory, dataclasses.replace(APPLICATION, programs=broken)).up(steps.append, any_free=True)
    assert steps[-1] == StartStep("web", "failed")
    assert processes.find(small.directory) == []


def test_a_migration_that_fails_is_reported_with_its_log_and_nothing_is_left(small: Stack) -> None:
    failing = dataclasses.replace(APPLICATION, migrate=(sys.executable, "-c", "raise SystemExit('no such column')"))
    with pytest.raises(LocalError, match=r"(?s)the migration failed.*no such column"):
        Stack(small.directory, failing).up(print, any_free=True)
    assert processes.find(small.directory) == []


def test_two_cannot_start_one_stack_at_once(small: Stack) -> None:
    with (
        files.locked(small.directory / "lock"),
        pytest.raises(LocalError, match=rf"another process works on .* \(pid {os.getpid()}\)"),
    ):
        Stack(small.directory, APPLICATION).up(print, any_free=True)


def test_a_long_path_gets_its_socket_elsewhere_and_a_strange_one_is_refused(tmp_path: Path) -> None:
    from infra.local import supervisor

    long = tmp_path / ("x" * 100)
    assert len(str(supervisor.socket_path(long))) < 90
    assert supervisor.socket_path(long) != supervisor.socket_path(long / "y")
    with pytest.raises(LocalError, match="may not contain '#'"):
        plan.data_directory(tmp_path / "a #1 stack")
