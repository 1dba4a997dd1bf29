"""A funnel that was changed: no row bears a new name over an old number, and every day follows.

What belongs here: what is shown after a change, whichever way a day is touched.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from assets.aggregates.funnel import Funnel, FunnelStep
from tests.aggregates.compare import Stage
from tests.aggregates.streams import at

pytestmark = pytest.mark.services

NEW = Funnel((FunnelStep("logged in", "login"), FunnelStep("looked", "page_view")))
LOW, HIGH = datetime(2026, 7, 15, tzinfo=UTC), datetime(2026, 7, 16, tzinfo=UTC)


@pytest.fixture
def changed(stage: Stage) -> Iterator[Stage]:
    """Ten users took all steps of the old funnel, four of them log in first; then the funnel is another one."""
    for n in range(10):
        if n < 4:
            stage.send(at("2026-07-15T10:00", f"u{n}", "login"))
        stage.send(*(at(f"2026-07-15T10:0{m}", f"u{n}", k) for m, k in ((1, "page_view"), (2, "button_click"))))
    assert stage.settled() == []
    before, stage.world.aggregates.funnel = stage.world.aggregates.funnel, NEW
    yield stage
    stage.world.aggregates.funnel = before


def late_event(stage: Stage) -> None:
    stage.send(at("2026-07-15T23:00", "somebody"))
    stage.world.refresh()


def filling(stage: Stage) -> None:
    stage.world.aggregates.fill()


def this_table_alone(stage: Stage) -> None:
    stage.world.aggregates.rebuild(LOW, HIGH, ["funnel_daily"])


def helper_rows_alone(stage: Stage) -> None:
    stage.world.aggregates.rebuild(LOW, HIGH, ["user_days"])


@pytest.mark.parametrize("touch", [late_event, filling, this_table_alone, helper_rows_alone])
def test_a_day_that_is_touched_is_counted_by_the_new_funnel(changed: Stage, touch: Callable[[Stage], None]) -> None:
    touch(changed)
    assert [row[1:] for row in changed.rows("funnel_daily")] == [(1, "logged in", 4), (2, "looked", 4)]
