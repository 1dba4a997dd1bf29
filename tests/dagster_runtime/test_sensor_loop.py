"""How often the daemon looks which sensors are due: by a clock of its own, with Dagster's own part replaced."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dagster._grpc import server_watcher
from dagster._grpc.client import DagsterGrpcClient

from orchestration.dagster_runtime import daemon as our_daemon
from orchestration.dagster_runtime import instance as home
from orchestration.dagster_runtime.daemon import FastSensorDaemon


class Turns:
    """The loop of the sensors' daemon for a minute of a clock of its own; a tick is as long as its sensor says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **lengths: float) -> None:
        self.now, self.looks, self.lengths = 0.0, 0, lengths
        self.began: dict[str, list[float]] = {name: [] for name in lengths}
        self.daemon = FastSensorDaemon({}, clock=lambda: self.now)
        monkeypatch.setattr(our_daemon, "execute_sensor_iteration", self.look)
        self.loop = self.daemon.core_loop(cast("Any", None), cast("Any", self))
        self.minute()

    def minute(self) -> None:
        """The next minute."""
        ends = self.now + 60
        while self.now < ends:
            next(self.loop)

    def look(self, *_: object, sensor_tick_futures: dict[str, Any], **__: object) -> Iterator[None]:
        """As Dagster's: what is due ticks, unless its last tick is under way. A tick begins 15 ms later."""
        self.looks += 1
        for name, length in self.lengths.items():
            began = self.began[name]
            if not began or self.now - began[-1] >= 1:
                self.daemon.instrument_elapsed(cast("Any", SimpleNamespace(selector_id=name)), None, 1)
                if not began or self.now >= began[-1] + length:
                    began.append(self.now + 0.015)
                    over = self.now + length
                    sensor_tick_futures[name] = SimpleNamespace(done=lambda over=over: self.now >= over)
        self.now += 0.01
        yield None

    def wait(self, seconds: float) -> None:
        """The pause of the loop."""
        self.now += seconds


def test_a_sensor_whose_ticks_are_short_ticks_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(monkeypatch, short=0.1)
    assert 55 <= len(turns.began["short"]) <= 60
    assert turns.looks <= 75


def test_ticks_that_are_held_open_are_asked_for_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(monkeypatch, one=3.0, two=3.0)
    assert 14 <= len(turns.began["one"]) <= 20
    assert turns.looks <= 75


def test_a_sensor_that_was_switched_off_is_not_looked_for_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(monkeypatch, off=0.1)
    turns.lengths, turns.looks = {}, 0
    turns.minute()
    assert turns.looks <= 75


class CodeServer(DagsterGrpcClient):
    """Answers, and counts how often it is asked; a minute later the watch is told to end."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0

    def get_server_id(self, timeout: int = 0) -> str:
        assert timeout
        self.asked += 1
        return "the same"

    def is_set(self) -> bool:
        return self.now >= 60

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_the_code_server_is_asked_every_three_seconds_whether_it_serves_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("WATCH_INTERVAL", "MAX_RECONNECT_ATTEMPTS"):
        monkeypatch.setattr(server_watcher, name, getattr(server_watcher, name))
    home.ask_the_code_server_less_often()
    server: Any = CodeServer()
    never: Any = pytest.fail
    server_watcher.watch_grpc_server_thread(
        "millrace",
        server,
        shutdown_event=server,
        get_location_entry=lambda _: None,
        refresh_code_location=never,
        on_disconnect=never,
        on_reconnected=never,
        on_updated=never,
        on_error=never,
    )
    assert server.asked == 20
