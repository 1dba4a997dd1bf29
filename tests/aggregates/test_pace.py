"""How much a refresh takes in at once, after transactions that were quick, slow, small, or failed.

What belongs here: the bounds. What does not: transactions (`test_long_refresh`).
"""

from assets.aggregates.pace import Pace

ENOUGH = 1_000_000


def after(pace: Pace, *transactions: tuple[int, float]) -> int:
    """Events at most, after transactions of so many events and seconds."""
    for events, seconds in transactions:
        pace.bounds(ENOUGH)
        pace.took(events, seconds)
    return pace.bounds(ENOUGH).events


def test_full_transactions_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    assert after(Pace(1_000), (1_000, 0.5), (2_000, 1.5)) == 4_000
    assert after(Pace(4_000), (4_000, 3.0)) == 4_000
    assert after(Pace(4_000), (4_000, 5.0)) == 2_000


def test_small_transactions_that_were_quick_say_nothing_about_large_ones() -> None:
    assert after(Pace(1_000), *[(10, 0.01)] * 20) == 1_000


def test_a_single_mark_above_the_bounds_that_takes_long_makes_no_other_transaction_smaller() -> None:
    assert after(Pace(1_000), *[(20_000, 10.0)] * 20) == 1_000


def test_after_a_failure_much_less_is_taken_and_one_event_at_least() -> None:
    pace = Pace(1_000)
    pace.failed()
    assert pace.bounds(ENOUGH).events == 125
    for _ in range(10):
        pace.failed()
    assert pace.bounds(ENOUGH) == (1, 1, 1)
