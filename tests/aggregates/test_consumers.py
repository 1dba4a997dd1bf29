"""Groups of tables take new events in independently: none waits for another, none counts anything twice.

What belongs here: one group that is ahead, behind, killed or failing beside the others. What does not: what a table
holds (`test_against_pandas`), and refreshes beside rebuilds and ingest (`test_side_by_side`).
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import psycopg
import pytest

from assets.aggregates.consumers import Consumer
from assets.aggregates.marks import GROUPS
from assets.aggregates.writer import AggregateWriter
from orchestration.factories import make_aggregates
from tests.aggregates.compare import Stage
from tests.aggregates.streams import at, stream
from tests.aggregates.work import work_of_a_refresh
from tests.system.system import eventually

pytestmark = pytest.mark.services

POINTS = ("before_commit", "after_commit", "after_drop")


class Killed(Exception):
    """A process ended here."""


def writer(stage: Stage, workers: int) -> AggregateWriter:
    made = make_aggregates(stage.world.settings)
    made.workers = workers
    return made


def refresh_killed_at(stage: Stage, point: str, workers: int) -> None:
    """A refresh by a process that ends there."""

    def kill(name: str) -> None:
        if name == point:
            raise Killed

    killed = writer(stage, workers)
    killed.failpoint = kill
    with pytest.raises(Killed):
        killed.refresh()
    killed.close()


def lacking(stage: Stage) -> set[str]:
    """The groups that lack events, as analysts see it."""
    return {group for (groups,) in stage.world.query("select groups from analytics.freshness") for group in groups}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("point", POINTS)
def test_a_group_that_is_killed_at_any_point_leaves_its_tables_whole_and_the_others_go_on(
    stage: Stage, group: str, point: str
) -> None:
    made = stream(len(group) + len(point), events=120, days=2)
    stage.send(*made.valid[::2])
    assert stage.settled() == []
    stage.send(*made.valid[1::2])
    refresh_killed_at(stage, f"{group}_{point}", workers=3)
    assert stage.inconsistent() == []
    assert lacking(stage) == ({group} if point == "before_commit" else set())
    assert stage.settled() == []
    assert stage.world.one("select count(*) from ops.taken_marks") == 0


@pytest.mark.parametrize("point", POINTS)
def test_one_worker_takes_events_into_all_groups_or_into_none(stage: Stage, point: str) -> None:
    stage.send(*stream(len(point), events=120, days=2).valid)
    refresh_killed_at(stage, f"security_{point}", workers=1)
    assert stage.inconsistent() == []
    assert lacking(stage) == ({*GROUPS} if point == "before_commit" else set())
    assert stage.world.one("select count(*) from ops.taken_marks") == 0
    assert stage.settled() == []


def test_one_worker_reads_the_events_of_a_mark_once_for_all_groups(stage: Stage) -> None:
    stage.send(*stream(7, events=120, days=2).valid)
    one, three = writer(stage, workers=1), writer(stage, workers=3)
    together, apart = (work_of_a_refresh(each) for each in (one, three))
    one.close()
    three.close()
    read = "insert into arrived "
    assert [sum(text.lstrip().startswith(read) for text in found) for found in (together, apart)] == [1, 2]
    assert stage.settled() == []


def test_what_one_group_failed_to_take_is_taken_before_all_go_on_together_also_in_the_same_hour(stage: Stage) -> None:
    for workers, minute in ((1, 0), (3, 10), (2, 20), (1, 30)):
        stage.send(at(f"2026-07-15T10:{minute:02}:01", "ann", "login"), at(f"2026-07-15T10:{minute:02}:02", "bob"))
        stage.world.query("alter table analytics.sessions add constraint never check (events < 0) not valid")
        failing = writer(stage, workers)
        try:
            with pytest.raises(psycopg.errors.CheckViolation):
                failing.refresh()
        finally:
            stage.world.query("alter table analytics.sessions drop constraint never")
        assert (stage.inconsistent(), lacking(stage)) == ([], {"users"})
        stage.send(at(f"2026-07-15T10:{minute:02}:00", "cem"), at(f"2026-07-15T11:{minute:02}:00", "ann"))
        failing.refresh()
        failing.close()
        assert (stage.wrong(), lacking(stage)) == ([], set())
        assert stage.world.one("select count(*) from ops.taken_marks") == 0


def test_a_refresh_goes_on_with_marks_that_became_old_meanwhile_and_leaves_fresh_ones(stage: Stage) -> None:
    aggregates, came = writer(stage, workers=1), [timedelta(seconds=30), timedelta(0)]

    def arrive(name: str) -> None:
        if name == "hourly_after_commit" and came:
            stage.send(at(f"2026-07-15T1{len(came)}:00", "ann"))
            stage.world.query("update ops.dirty_buckets set marked_at = marked_at - %s", came.pop(0))

    stage.send(at("2026-07-15T10:00", "ann"))
    aggregates.failpoint = arrive
    assert aggregates.refresh().events == 2
    aggregates.close()
    assert lacking(stage) == {*GROUPS}
    assert stage.settled() == []


def test_a_group_that_is_held_up_delays_none_on_another_worker_and_new_events_reach_these_meanwhile(
    stage: Stage,
) -> None:
    stage.send(at("2026-07-15T10:00", "ann", "login"), at("2026-07-15T10:01", "ann"))
    aggregates = writer(stage, workers=3)
    with psycopg.connect(stage.world.settings.postgres_url) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("lock table analytics.login_audit in share mode")
        refreshed = pool.submit(aggregates.refresh)
        try:
            eventually(lambda: lacking(stage) == {"security"})
            stage.send(at("2026-07-15T10:02", "bob"))
            eventually(lambda: stage.world.one("select count(*) from analytics.user_profiles") == 2)
            assert stage.inconsistent() == []
        finally:
            holder.rollback()
        refreshed.result(120)
    aggregates.close()
    assert stage.settled() == []


def test_an_interrupted_refresh_ends_although_one_of_its_groups_waits_for_a_lock(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.send(at("2026-07-15T10:00", "ann", "login"), at("2026-07-15T10:01", "ann"))
    aggregates, waits = writer(stage, workers=3), Consumer.waits

    def interrupt(consumer: Consumer, days: Collection[date] | None, last: int | None) -> bool:
        if last is None and lacking(stage) == {"security"}:  # looked for while another group is at work
            raise Killed
        return waits(consumer, days, last)

    monkeypatch.setattr(Consumer, "waits", interrupt)
    with psycopg.connect(stage.world.settings.postgres_url) as holder:
        holder.execute("lock table analytics.login_audit in share mode")
        with pytest.raises(Killed):
            aggregates.refresh()
        assert lacking(stage) == {"security"}
    aggregates.close()
    monkeypatch.undo()
    assert stage.settled() == []


def test_a_group_that_fails_says_so_after_the_others_have_done_their_part(stage: Stage) -> None:
    stage.send(at("2026-07-15T10:00", "ann", "login"), at("2026-07-15T10:01", "ann"))
    stage.world.query("alter table analytics.sessions add constraint never check (events < 0) not valid")
    try:
        with pytest.raises(psycopg.errors.CheckViolation):
            stage.world.refresh()
        assert lacking(stage) == {"users"}
    finally:
        stage.world.query("alter table analytics.sessions drop constraint never")
    assert stage.settled() == []


def test_a_rebuild_takes_in_what_only_some_groups_have_taken(stage: Stage) -> None:
    stage.send(*stream(5, events=120, days=2).valid)
    refresh_killed_at(stage, "users_before_commit", workers=3)
    assert lacking(stage) == {"users"}
    assert stage.rebuild() == {}
    assert (stage.inconsistent(), lacking(stage)) == ([], set())
    assert stage.settled() == []


def test_a_release_that_knows_no_groups_cannot_take_in_again_what_one_has_taken(stage: Stage) -> None:
    stage.send(at("2026-07-15T10:00", "ann"))
    stage.world.query("insert into ops.taken_marks select 'hourly', mark_id from ops.dirty_buckets")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        stage.world.query("delete from ops.dirty_buckets")
    stage.world.query("delete from ops.taken_marks")
    assert stage.settled() == []
