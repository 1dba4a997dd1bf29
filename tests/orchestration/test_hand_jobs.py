"""The jobs that people start from the Launchpad: their config, what they report, and what Dagster keeps of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import build_defs
from orchestration.hand_jobs import NAMES, TAKEN_OUT, RedriveConfig, chosen
from orchestration.jobs import NAMES as EVERY_JOB
from tests.erasure.support import SECRET, of
from tests.support.world import World, encoded, event
from tests.upkeep.dagster_tables import instance_in

NOW = datetime(2026, 5, 18, 12, tzinfo=UTC)


def test_dead_letters_are_chosen_as_the_command_does() -> None:
    assert set(NAMES) <= set(EVERY_JOB), "their runs are trimmed and counted"
    found = chosen(RedriveConfig(code=["unknown_type"], since="2h", until="2026-05-18T11:30"), NOW)
    assert (found.codes, found.since, found.until) == (
        ("unknown_type",),
        NOW - timedelta(hours=2),
        datetime(2026, 5, 18, 11, 30, tzinfo=UTC),
    )
    assert chosen(RedriveConfig(ids=[3, 3, 1]), NOW).ids == (3, 1)
    assert str(chosen(RedriveConfig(everything=True), NOW)) == "all open dead letters"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "Name dead letters by ids"),
        ({"ids": [1], "code": ["not_json"]}, "Name dead letters by ids"),
        ({"code": ["unknwon"]}, "no such code: unknwon; there are not_json"),
        ({"since": "yesterday"}, "since: expected a time such as"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_says_what_to_write(config: dict[str, Any], said: str) -> None:
    with pytest.raises(dg.Failure, match=said):
        chosen(RedriveConfig(**config), NOW)


@pytest.fixture
def instance(world: World, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with instance_in(world.settings.postgres_url, tmp_path / "dagster") as made:
        yield made


def run(world: World, instance: dg.DagsterInstance, job: str, op: str, **config: Any) -> tuple[Any, dict[str, Any]]:
    """The result, and the metadata of the op's output."""
    defs = build_defs(world.settings, world.worker, world.aggregates)
    given = {"ops": {op: {"config": config}}} if config else None
    found = defs.resolve_job_def(job).execute_in_process(instance=instance, run_config=given, raise_on_error=False)
    shown = {
        name: each.value
        for e in found.all_events
        if e.is_successful_output
        for name, each in e.step_output_data.metadata.items()
    }
    return found, shown


@pytest.mark.services
def test_redrive_begins_as_a_dry_run_and_is_audited_with_its_run(world: World, instance: dg.DagsterInstance) -> None:
    world.produce([b"{", *encoded(event())])
    world.ingest()
    _, shown = run(world, instance, "redrive_dead_letters", "redrive", code=["not_json"])
    assert (shown["dry_run"], shown["chosen"], shown["refused"]) == (True, 1, 1)
    assert world.one("select count(*) from ops.audit_log where action = 'redrive'") == 0
    done, shown = run(world, instance, "redrive_dead_letters", "redrive", code=["not_json"], dry_run=False)
    assert "not_json" in shown["by_code"]
    [(subject, by)] = world.query("select subject, details ->> 'run' from ops.audit_log where action = 'redrive'")
    assert (subject, by) == ("code not_json", done.run_id)


@pytest.mark.services
def test_an_erasure_from_the_launchpad_leaves_the_id_nowhere(world: World, instance: dg.DagsterInstance) -> None:
    world.produce(encoded(of(SECRET), of("another")))
    world.ingest()
    dry, shown = run(world, instance, "erase_user", "erase", user=SECRET)
    assert dry.success
    assert (shown["dry_run"], shown["events"]) == (True, 1)
    done, shown = run(world, instance, "erase_user", "erase", user=SECRET, dry_run=False)
    assert done.success
    assert shown["events"] == 1
    [(hashed, by)] = world.query("select subject, details ->> 'run' from ops.audit_log where action = 'erase'")
    assert (hashed, by) == (shown["user"], done.run_id)
    tables = world.query("select schemaname || '.' || tablename from pg_tables where schemaname = 'dagster'")
    held = [table for (table,) in tables if world.one(f"select count(*) from {table} as t where t::text ~ %s", SECRET)]
    assert held == [], "neither config nor event"
    kept: Any = instance.get_run_by_id(done.run_id)
    assert kept.run_config["ops"]["erase"]["config"] == {"user": TAKEN_OUT, "dry_run": False}
    again, _ = run(world, instance, "erase_user", "erase", **kept.run_config["ops"]["erase"]["config"])
    assert not again.success, "a re-execution does not know whom"


@pytest.mark.services
def test_backfill_and_reconcile_show_their_figures(world: World, instance: dg.DagsterInstance) -> None:
    world.produce(encoded(event(), event()))
    world.ingest()
    done, shown = run(world, instance, "backfill", "rebuild", days=2, tables=["events_hourly"])
    assert done.success
    assert shown["drift"] == 0
    assert "events_hourly" in shown["tables"]
    refused, _ = run(world, instance, "backfill", "rebuild", first="2026-01-01", tables=["no_such"])
    assert not refused.success
    done, shown = run(world, instance, "reconcile", "compare")
    assert done.success
    assert (shown["balanced"], shown["records"], shown["stored"]) == (True, 2, 2)
    world.query("delete from raw.events where event_id = (select event_id from raw.events limit 1)")
    done, _ = run(world, instance, "reconcile", "compare")
    assert not done.success
    [failed] = [e for e in done.all_events if e.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert data.metadata["balanced"].value is False
