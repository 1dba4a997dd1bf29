"""The schedule: even, never in bursts, whatever the clock does."""

from itertools import pairwise

import pytest

from producer.timing import Schedule
from tests.producer.support import HOUR, START_US

MANY = 1_000_000


def test_messages_are_due_evenly_from_the_start():
    schedule = Schedule(1_000, START_US)
    due = schedule.take(START_US + 99_999, MANY)
    assert due == [START_US + number * 1_000 for number in range(100)]
    assert schedule.take(START_US + 99_999, MANY) == []


def test_no_more_are_taken_than_asked_for_and_none_is_lost():
    schedule = Schedule(1_000, START_US)
    first, second = schedule.take(START_US + 99_999, 60), schedule.take(START_US + 99_999, 60)
    assert (len(first), len(second)) == (60, 40)


def test_rate_zero_makes_everything_due_now_each_with_a_time_of_its_own():
    due = Schedule(0, START_US).take(START_US + 5, 100)
    assert due[0] == START_US + 5
    assert all(before < after for before, after in pairwise(due))
    assert len(due) == 100


@pytest.mark.parametrize("pause", [5_000_000, HOUR])
def test_after_a_standstill_it_slips_and_does_not_make_up_for_it(pause: int):
    schedule = Schedule(1_000, START_US)
    schedule.take(START_US, MANY)
    assert len(schedule.take(START_US + pause, MANY)) == pytest.approx(1_000, abs=2)


def test_a_clock_that_is_set_back_does_not_stop_it():
    schedule = Schedule(1_000, START_US)
    schedule.take(START_US + 1_000_000, MANY)
    assert len(schedule.take(START_US - HOUR, MANY)) == 1


def test_slow_rates_are_waited_for_in_short_naps():
    schedule = Schedule(0.1, START_US)
    assert schedule.take(START_US, MANY) == [START_US]
    assert 0 < schedule.wait(START_US) <= 0.2
    assert schedule.take(START_US + 9_999_999, MANY) == []
    assert schedule.take(START_US + 10_000_000, MANY) == [START_US + 10_000_000]


def test_with_the_rhythm_the_afternoon_has_four_times_the_rate_of_the_night():
    def in_an_hour(start_us: int) -> int:
        schedule = Schedule(10, start_us, rhythm=True)
        return sum(len(schedule.take(start_us + second * 1_000_000, MANY)) for second in range(3_600))

    afternoon, night = in_an_hour(START_US + HOUR // 2), in_an_hour(START_US - 11 * HOUR - HOUR // 2)
    assert afternoon == pytest.approx(57_600, rel=0.01)
    assert night == pytest.approx(14_400, rel=0.02)
