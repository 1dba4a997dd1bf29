"""Events of one time: what they are counted as follows from where they lie in Kafka, never from their random ids.

What belongs here: whole seconds, as many producers write them, through ingest, refresh and rebuild.
"""

import random
from typing import Any

import pytest

from assets.aggregates.funnel import Funnel, FunnelStep
from infra.local.harness import Running
from tests.aggregates.compare import Stage
from tests.aggregates.streams import Json, at
from tests.support.world import fresh_world

pytestmark = pytest.mark.services

NOON = "2026-07-15T12:00:00"
STEPS = ("page_view", "button_click", "form_submit")


def funnel(stage: Stage) -> list[int]:
    return [users for _, _, _, users in stage.rows("funnel_daily")]


def shopper(user: str, *kinds: str) -> list[Json]:
    return [at(NOON, user, kind, **({"page": f"/{n}"} if kind == "page_view" else {})) for n, kind in enumerate(kinds)]


def test_a_funnel_of_one_second_holds_all_who_took_its_steps(stage: Stage) -> None:
    events = [each for n in range(300) for each in shopper(f"user {n}", *STEPS)]
    stage.send(*events)
    assert stage.settled() == []
    assert funnel(stage) == [300, 300, 300]
    assert stage.rebuild() == {}


def test_in_one_partition_steps_of_one_second_count_in_the_order_of_offsets(stage: Stage) -> None:
    backwards = [each for n in range(50) for each in shopper(f"user {n}", *reversed(STEPS))]
    stage.send(*backwards)
    assert stage.settled() == []
    assert funnel(stage) == [50, 0, 0]
    assert stage.rebuild() == {}


def test_steps_of_one_second_in_different_batches_count_when_the_later_ones_come(stage: Stage) -> None:
    users = [shopper(f"user {n}", *STEPS) for n in range(20)]
    for step in range(3):
        stage.send(*(events[step] for events in users))
        assert stage.settled() == []
    assert funnel(stage) == [20, 20, 20]
    assert stage.rebuild() == {}


def test_one_event_is_one_step_only(stage: Stage) -> None:
    """Also where its conditions overlap: a page view alone is not both of these."""
    twice = Funnel((FunnelStep("any page", "page_view"), FunnelStep("start page", "page_view", {"page": "/0"})))
    before, stage.world.aggregates.funnel = stage.world.aggregates.funnel, twice
    try:
        stage.send(*(e for n in range(10) for e in shopper(f"once {n}", "page_view")))
        stage.send(*(at(NOON, f"twice {n}", page="/0") for n in range(5) for _ in range(2)))
        stage.world.refresh()
        assert funnel(stage) == [15, 5]
    finally:
        stage.world.aggregates.funnel = before


def test_across_partitions_steps_of_one_second_count_whatever_their_order(
    services: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with fresh_world(services, tmp_path_factory.mktemp("two"), partitions=3) as world:
        stage = Stage(world)
        users = [shopper(f"user {n}", *STEPS) for n in range(20)]
        for step, partition in ((0, 2), (1, 1), (2, 0)):
            stage.send(*(events[step] for events in users), partition=partition)
            world.ingest()
        mixed = random.Random(5)
        for n in range(25):  # any kinds anywhere: the oracle's definition once more
            kinds = mixed.choices(STEPS, k=mixed.randint(1, 6))
            for event in shopper(f"mixed {n}", *kinds):
                stage.send(event, partition=mixed.randrange(3))
        assert stage.settled() == []
        assert funnel(stage)[2] >= 20
        assert stage.rebuild() == {}


@pytest.mark.parametrize("seed", range(3))
def test_entry_and_exit_page_of_one_second_are_the_first_and_last_that_were_sent(stage: Stage, seed: int) -> None:
    draw = random.Random(seed)
    visits = [shopper(f"user {n}", *["page_view"] * draw.randint(2, 6)) for n in range(40)]
    stage.send(*(event for visit in visits for event in visit))
    assert stage.settled() == []
    found: Any = stage.world.query("select user_id, entry_page, exit_page from analytics.sessions")
    assert {row[1] for row in found} == {"/0"}
    assert {row[0]: row[2] for row in found} == {f"user {n}": f"/{len(visit) - 1}" for n, visit in enumerate(visits)}
    assert stage.rebuild() == {}


def test_a_login_and_a_logout_of_one_second_are_a_session_that_was_closed(stage: Stage) -> None:
    stage.send(*(at(NOON, f"user {n}", kind) for n in range(60) for kind in ("login", "logout")))
    assert stage.settled() == []
    assert stage.world.one("select count(*) from analytics.login_audit where flags <> '{}'") == 60 - 9  # one address
    assert stage.world.query("select 1 from analytics.login_audit where 'logout_without_login' = any(flags)") == []
    assert stage.rebuild() == {}


def test_rows_that_an_earlier_release_ordered_by_id_are_put_in_order_by_a_rebuild(stage: Stage) -> None:
    """Later rows too: whether a logout of the next day closed anything depends on what came last the day before."""
    late = "2026-07-15T23:50:00"
    stage.send(*(at(late, f"user {n}", kind) for n in range(30) for kind in ("logout", "login")))
    stage.send(*(at("2026-07-16T00:10:00", f"user {n}", "logout") for n in range(30)))
    assert stage.settled() == []
    before = "update analytics.login_audit set position = event_id, flags = '{logout_without_login}'"
    stage.world.query(f"{before} where action = 'logout'")
    assert stage.rebuild()["login_audit"] > 0
    assert stage.wrong() == []
    assert stage.rebuild() == {}
