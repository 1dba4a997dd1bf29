"""A whole invocation on a clock of its own."""

from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from producer.runner import Producing
from producer.sender import Sender
from producer.tally import SendProgress, Summary
from tests.producer.support import START_US, FakeClient, config


class Stage:
    """A producer under way, with time that passes only while it sleeps."""

    def __init__(self, **knobs: Any) -> None:
        self.now = START_US / 1e6
        self.client, self.stop = FakeClient(), Event()
        self.sent_at: list[float] = []
        self.seen: list[SendProgress] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self.sender = Sender(self.client, "events", 4, None, self.stop, Event())
        self._run = Producing(
            config(**{"seed": 1, **knobs}),
            self.sender,
            self.stop,
            on_progress=self.seen.append,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.sent_at.extend([self.now] * (self.sender.tally.sent - len(self.sent_at)))
        self.now += seconds or 0.001
        self.on_sleep()

    def run(self) -> Summary:
        return self._run()


@pytest.mark.parametrize("fast", [False, True])
def test_the_rate_is_kept_smoothly(fast: bool):
    stage = Stage(rate=1_000, duration=10.0, fast=fast)
    summary = stage.run()
    assert summary.acknowledged == summary.sent == 10_000
    slots = Counter(int((at - START_US / 1e6) * 20) for at in stage.sent_at)
    assert all(35 <= slots[slot] <= 65 for slot in range(1, 199))


@pytest.mark.parametrize(
    "knobs", [{"rate": 0}, {"rate": 300}, {"rate": 0, "fast": True}, {"rate": 10**6, "fast": True}]
)
def test_a_count_is_met_exactly(knobs: dict[str, Any]):
    summary = Stage(count=1_234, **knobs).run()
    assert (summary.sent, summary.acknowledged, summary.interrupted) == (1_234, 1_234, False)
    assert sum(summary.by_type.values()) == 1_234
    assert summary.complete


def test_nothing_to_send_is_done_at_once():
    assert Stage(count=0).run().sent == 0


def test_the_same_seed_and_start_send_the_same_bytes():
    first, second = Stage(count=500), Stage(count=500)
    assert first.run() == second.run()
    assert [m.value() for m in first.client.log] == [m.value() for m in second.client.log]


def test_without_a_seed_no_two_runs_share_an_id():
    first, second = Stage(count=500, seed=None), Stage(count=500, seed=None)
    assert first.run().seed != second.run().seed
    assert not {m.value() for m in first.client.log} & {m.value() for m in second.client.log}


def test_a_stop_ends_an_endless_run_and_everything_sent_is_settled():
    stage = Stage(rate=1_000)
    stage.on_sleep = lambda: stage.stop.set() if stage.sender.tally.sent > 3_000 else None
    summary = stage.run()
    assert summary.interrupted
    assert summary.acknowledged == summary.sent > 3_000


def test_progress_comes_a_few_times_a_second_and_ends_with_the_totals():
    stage = Stage(rate=1_000, duration=5.0)
    summary = stage.run()
    assert 15 <= len(stage.seen) <= 25
    assert stage.seen[10].rate == pytest.approx(1_000, rel=0.1)
    assert (stage.seen[-1].sent, stage.seen[-1].waiting) == (summary.sent, 0)


def test_with_the_broker_away_it_goes_on_and_delivers_when_it_is_back():
    stage = Stage(rate=1_000, duration=6.0)
    stage.on_sleep = lambda: setattr(stage.client, "down", stage.now < START_US / 1e6 + 4)
    summary = stage.run()
    assert max(progress.waiting for progress in stage.seen) > 3_000
    assert summary.acknowledged == summary.sent == 6_000
