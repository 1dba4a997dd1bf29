"""How much a refresh takes in at once, after transactions that were quick, slow, small, or failed.

What belongs here: the bounds. What does not: transactions (`test_long_refresh`).
"""

from assets.aggregates.pace import Bounds, Pace

ENOUGH = 1_000_000


def after(pace: Pace, *transactions: tuple[Bounds, float]) -> int:
    """Events at most, after transactions of so many events, marks and hours, and seconds."""
    for done, seconds in transactions:
        pace.bounds(ENOUGH)
        pace.took(done, seconds)
    return pace.bounds(ENOUGH).events


def events(count: int, marks: int = 2) -> Bounds:
    return Bounds(count, marks, 1)


def test_full_transactions_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    assert after(Pace(1_000), (events(1_000), 0.5), (events(2_000), 2.5)) == 4_000
    assert after(Pace(4_000), (events(4_000), 4.0)) == 4_000
    assert after(Pace(80_000), (events(80_000), 7.0)) == 40_000


def test_on_a_slow_machine_no_transaction_gets_smaller_than_the_first_one() -> None:
    assert after(Pace(), *[(events(20_000), 30.0)] * 20) == Pace().events


def test_small_transactions_that_were_quick_say_nothing_about_large_ones() -> None:
    assert after(Pace(1_000), *[(events(10), 0.01)] * 20) == 1_000


def test_many_marks_or_hours_of_few_events_fill_a_transaction_too() -> None:
    assert after(Pace(1_000), (Bounds(251, 251, 3), 0.1)) == 2_000
    assert after(Pace(1_000), (Bounds(101, 101, 101), 0.1)) == 2_000
    assert after(Pace(1), *[(Bounds(1, 1, 1), 0.1)] * 3) == 8


def test_a_single_large_mark_that_takes_long_makes_no_other_transaction_smaller() -> None:
    assert after(Pace(80_000), *[(events(200_000, marks=1), 10.0)] * 20) == 80_000


def test_after_a_failure_much_less_is_taken_and_one_event_at_least() -> None:
    pace = Pace(1_000)
    pace.failed()
    assert pace.bounds(ENOUGH).events == 125
    for _ in range(10):
        pace.failed()
    assert pace.bounds(ENOUGH) == (1, 1, 1)
