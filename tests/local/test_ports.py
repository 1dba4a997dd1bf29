import re
import socket
import subprocess
import sys
from collections.abc import Generator
from functools import cached_property

import pytest

from infra.local import plan, ports
from infra.local.services import HOST, LocalError

_LISTEN = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def listener() -> Generator[tuple[int, int]]:
    """A process that listens: its pid and its port."""
    command = (sys.executable, "-c", _LISTEN)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        yield child.pid, int(child.stdout.readline())
        child.kill()


def test_a_port_in_use_is_refused_with_the_process_that_holds_it(listener: tuple[int, int]) -> None:
    pid, port = listener
    with pytest.raises(LocalError) as refused:
        plan.choose_ports({"webserver": port}, {}, {}, any_free=False)
    text = str(refused.value)
    assert f"port {port} (webserver) is held by pid {pid} (python" in text
    assert re.search(r"--port webserver=\d+", text)
    assert "--free-ports" in text


def test_a_remembered_port_that_is_taken_meanwhile_moves_only_when_any_will_do(listener: tuple[int, int]) -> None:
    _, port = listener
    with pytest.raises(LocalError):
        plan.choose_ports({"webserver": 3000}, {}, {"webserver": port}, any_free=False)
    assert plan.choose_ports({"webserver": 3000}, {}, {"webserver": port}, any_free=True)["webserver"] != port


def test_a_given_port_wins_over_a_remembered_one_and_that_over_the_default() -> None:
    defaults = {"a": 1, "b": 2, "c": 3}
    given, remembered, default = ports.free(3)
    chosen = plan.choose_ports(
        {**defaults, "c": default}, {"a": given}, {"a": remembered, "b": remembered}, any_free=False
    )
    assert chosen == {"a": given, "b": remembered, "c": default}


def test_two_programs_cannot_share_a_port() -> None:
    with pytest.raises(LocalError, match="kafka and redis cannot share port 7"):
        plan.choose_ports({"kafka": 7, "redis": 7}, {}, {}, any_free=False)


def test_a_port_of_an_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LocalError, match="no such port: web; there are webserver, kafka"):
        plan.choose_ports({"webserver": 1, "kafka": 2}, {"web": 3}, {}, any_free=False)


def test_free_ports_differ_and_can_be_listened_on() -> None:
    found = ports.free(20)
    assert len(set(found)) == 20
    for port in found:
        socket.create_server((HOST, port)).close()


_CHOOSE = """
import sys
from infra.local import ports
count, ports._FIRST, ports._LAST = map(int, sys.argv[1:])
print(*ports.free(count), flush=True)
sys.stdin.read()
"""


class Chooser:
    """A process that chooses up to so many of a hundred ports, and lives on."""

    def __init__(self, count: int, first: int) -> None:
        command = (sys.executable, "-c", _CHOOSE, str(count), str(first), str(first + 100))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @cached_property
    def chosen(self) -> set[int]:
        assert self._process.stdout
        return {int(port) for port in self._process.stdout.readline().split()}

    def end(self) -> None:
        self._process.communicate()


def test_processes_that_choose_at_once_choose_differently_and_what_one_had_is_free_when_it_ends() -> None:
    mine = ports.free(1)
    one, other = choosers = [Chooser(40, mine[0]) for _ in range(2)]
    assert [len(each.chosen) for each in choosers] == [40, 40]
    assert not one.chosen & other.chosen
    assert not set(mine) & (one.chosen | other.chosen)
    one.end()
    last = Chooser(100, mine[0])
    assert one.chosen <= last.chosen
    assert not last.chosen & {*mine, *other.chosen}
    for each in (other, last):
        each.end()
