"""Late steps of the funnel: which can let a user come further, and that no others have the day read again.

What belongs here: what ops.user_days knows of the times of steps, in whichever state it is. What does not: equal times
(`test_equal_times`), and a funnel that was changed (`test_funnel_change`).
"""

import random
from collections.abc import Callable

import pytest

from tests.aggregates.compare import Stage
from tests.aggregates.streams import Json, at
from tests.aggregates.work import work_of_a_refresh

pytestmark = pytest.mark.services

VIEW, CLICK, SUBMIT = "page_view", "button_click", "form_submit"


def day_of_ann(*taken: tuple[str, str]) -> list[Json]:
    return [at(f"2026-07-15T{time}", "ann", kind) for time, kind in taken]


def steps(stage: Stage) -> int:
    [[found]] = stage.world.query("select funnel_steps from ops.user_days where user_id = 'ann'")
    return found


def as_another_release_leaves_it(stage: Stage) -> None:
    stage.world.query("update ops.user_days set funnel_at = null, funnel_key = null")


def as_a_release_before_leaves_it_that_wrote_since(stage: Stage) -> None:
    """It counts steps, and knows nothing of what was noted of fewer."""
    stage.world.query("update ops.user_days set funnel_at = day, funnel_key = funnel_key - 1")


def as_it_is(stage: Stage) -> None:
    del stage


@pytest.mark.parametrize(
    ("before", "late", "came"),
    [
        ([("10:00", VIEW), ("12:00", SUBMIT)], ("11:00", CLICK), 3),  # the step that was missing in between
        ([("10:00", VIEW), ("12:00", SUBMIT)], ("13:00", CLICK), 2),
        ([("10:00", VIEW), ("12:00", SUBMIT)], ("09:00", CLICK), 1),
        ([("10:00", CLICK), ("12:00", SUBMIT)], ("09:00", VIEW), 3),  # the first one, before all others
        ([("10:00", CLICK), ("12:00", SUBMIT)], ("11:00", VIEW), 1),
        ([("10:00", VIEW), ("11:00", SUBMIT), ("12:00", CLICK)], ("10:30", CLICK), 3),  # one that was taken, earlier
        ([("10:00", VIEW), ("11:00", SUBMIT), ("12:00", CLICK)], ("11:30", CLICK), 2),
        ([("10:00", SUBMIT), ("11:00", VIEW), ("12:00", CLICK)], ("09:00", VIEW), 2),
    ],
)
@pytest.mark.parametrize(
    "left", [as_it_is, as_another_release_leaves_it, as_a_release_before_leaves_it_that_wrote_since]
)
def test_a_late_step_counts_where_it_comes_in_between(
    stage: Stage, before: list[tuple[str, str]], late: tuple[str, str], came: int, left: Callable[[Stage], None]
) -> None:
    stage.send(*day_of_ann(*before))
    assert stage.settled() == []
    left(stage)
    stage.send(*day_of_ann(late))
    assert stage.settled() == []
    assert steps(stage) == came


@pytest.mark.parametrize("seed", range(6))
def test_steps_one_by_one_in_any_order_lead_as_far_as_all_at_once(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        stage.send(
            *(
                at(f"2026-07-15T{chance.randrange(24):02}:{chance.randrange(4) * 15:02}", user, kind)
                for user in ("ann", "bob", "eve", "joe", "kim")
                for kind in chance.choices((VIEW, CLICK, SUBMIT, "login"), (3, 2, 1, 4))
                if chance.random() < 0.4
            )
        )
        stage.world.refresh()
    assert stage.settled() == []


@pytest.mark.parametrize(("late", "is_read"), [(VIEW, False), (CLICK, False), ("login", False), (SUBMIT, True)])
def test_only_a_late_step_that_can_matter_has_the_day_read_again(stage: Stage, late: str, is_read: bool) -> None:
    stage.send(*day_of_ann(("08:00", VIEW), ("08:30", CLICK)))
    assert stage.settled() == []
    stage.send(*day_of_ann(*((f"{9 + n // 60:02}:{n % 60:02}", VIEW) for n in range(300))))
    assert stage.settled() == []
    stage.send(*day_of_ann(("10:00", late)))
    work = work_of_a_refresh(stage.world.aggregates)
    [rows] = [count for text, count in work.items() if "set funnel_steps = f.steps" in text]
    assert (rows > 300) == is_read


def test_a_day_without_any_step_can_be_read_by_python(stage: Stage) -> None:
    stage.send(*day_of_ann(("08:00", "login")))
    assert stage.settled() == []
    assert len(stage.world.query("select * from ops.user_days")) == 1
