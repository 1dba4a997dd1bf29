"""What Dagster is told of the tables: everything that an analyst sees in its user interface before a run has run."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.aggregates.assets import DAILY, HOURLY, OVERALL
from assets.aggregates.catalog import AGGREGATES, REBUILDABLE, metadata
from assets.aggregates.specs import asset_key
from contract.contract import Contract
from infra.postgres.views import views
from orchestration import jobs
from orchestration.definitions import build_defs, with_links
from orchestration.settings import load
from tests.support.world import World

SETTINGS = {
    "MILLRACE_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/none",
    "MILLRACE_REDIS_URL": "redis://127.0.0.1:9",
    "MILLRACE_BROKER_URL": "redis://127.0.0.1:9",
    "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "MILLRACE_ASSET_OWNERS": "team:insight,ann@example.com",
}
CONTRACT = (
    *(each.name for each in AGGREGATES.values() if each.schema == "analytics"),
    *(view.name for view in views(Contract())),
)


@cache
def definitions() -> dg.Definitions:
    return build_defs(load(SETTINGS))


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions().resolve_all_asset_specs()}


@pytest.mark.parametrize("table", CONTRACT)
def test_every_table_of_the_contract_is_an_asset_that_says_what_it_is(table: str) -> None:
    spec = specs()[f"analytics/{table}"]
    assert "UTC" in (spec.description or "")
    assert list(spec.owners) == ["team:insight", "ann@example.com"]
    assert "postgres" in spec.kinds
    assert spec.group_name in {"hourly", "users", "security", "views"}
    assert spec.metadata["dagster/table_name"] == f"analytics.{table}"


@pytest.mark.parametrize("table", CONTRACT)
def test_a_table_comes_from_the_kafka_topic(table: str) -> None:
    graph = definitions().resolve_asset_graph()
    upstream = graph.upstream_key_iterator(dg.AssetKey(["analytics", table]))
    stored = "raw/dead_letters" if table == "dead_letters" else "raw/events"
    assert {key.to_user_string() for key in upstream} >= {stored, "kafka/user_events"}


@pytest.mark.parametrize(
    ("table", "upstream"),
    [
        ("active_users_daily", "ops/user_days"),
        ("user_profiles", "ops/user_days"),
        ("retention_weekly", "ops/user_days"),
        ("funnel_daily", "ops/user_days"),
        ("logins_hourly", "analytics/login_audit"),
        ("live", "analytics/events_minutely"),
    ],
)
def test_a_table_that_is_made_of_another_one_depends_on_it(table: str, upstream: str) -> None:
    assert upstream in {dep.asset_key.to_user_string() for dep in specs()[f"analytics/{table}"].deps}


def columns(spec: dg.AssetSpec) -> dict[str, dg.TableColumn]:
    schema: dg.TableSchema = spec.metadata["dagster/column_schema"]
    return {column.name: column for column in schema.columns}


@pytest.mark.services
def test_names_types_and_comments_of_columns_are_those_of_the_database(world: World) -> None:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table, *column in world.query(
        "select c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod),"
        " col_description(c.oid, a.attnum)"
        " from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid"
        " where c.oid = any(%s::regclass[]) and a.attnum > 0 and not a.attisdropped order by c.oid, a.attnum",
        [aggregate.table for aggregate in AGGREGATES.values()],
    ):
        found.setdefault(table, []).append(tuple(column))
    assert len(found) == len(AGGREGATES)
    for table, expected in found.items():
        shown = columns(specs()[table.replace(".", "/")])
        assert [(c.name, c.type, (c.description or "").split(" ← ")[0]) for c in shown.values()] == expected


def test_every_column_of_every_table_says_what_it_comes_from() -> None:
    for each in AGGREGATES.values():
        for column in each.columns:
            sources = each.sources(column)
            assert sources
            assert all(source in metadata.tables[table].columns for table, source in sources)


def test_the_views_show_the_columns_that_they_have() -> None:
    for view in views(Contract()):
        assert list(columns(specs()[f"analytics/{view.name}"])) == [column.name for column in view.columns]


def test_whatever_can_be_rebuilt_can_be_rebuilt_from_the_user_interface() -> None:
    assert {*HOURLY, *DAILY, *OVERALL} == REBUILDABLE


@pytest.mark.parametrize("names", [HOURLY, DAILY], ids=["hours", "days"])
def test_a_backfill_of_a_range_is_one_run_of_any_of_the_tables(names: tuple[str, ...]) -> None:
    assets = [
        each
        for each in definitions().assets or ()
        if isinstance(each, dg.AssetsDefinition) and asset_key(names[0]) in each.keys
    ]
    [made] = assets
    assert made.keys == {asset_key(name) for name in names}
    assert made.can_subset
    assert made.backfill_policy == dg.BackfillPolicy.single_run()


def test_only_what_sensors_request_names_a_queue() -> None:
    """A job that names one would take what a person starts to it."""
    names = ["refresh_aggregates", "rebuild_hourly_tables", "rebuild_daily_tables", "rebuild_overall_tables"]
    for name in [*names, "check_exactness"]:
        assert "dagster-celery/queue" not in definitions().resolve_job_def(name).tags


def test_the_code_loads_in_a_fresh_interpreter_and_touches_nothing() -> None:
    program = (
        "import os\n"
        f"os.environ.update({SETTINGS!r})\n"
        "from orchestration.definitions import defs\n"
        "print(sorted(defs().get_repository_def().job_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "refresh_aggregates" in done.stdout


def test_every_job_has_a_name_of_the_one_list_of_which_runs_are_counted_and_trimmed() -> None:
    repository = definitions().get_repository_def()
    assert set(repository.job_names) - {"__ASSET_JOB"} == set(jobs.NAMES)
    asked_for = {each.job_name for each in repository.schedule_defs}
    assert asked_for <= set(jobs.NAMES)


def test_what_a_description_names_of_the_documents_is_a_link_where_they_can_be_read() -> None:
    book = "https://git.example.com/docs/"
    said = "How to: docs/analysts.md. If it is behind: docs/runbook.md, MillraceAggregatesStale."
    linked = (
        f"How to: [docs/analysts.md]({book}analysts.md). If it is behind: [docs/runbook.md, MillraceAggregatesStale]"
    )
    assert with_links(said, None) == said
    assert with_links(said, book) == f"{linked}({book}runbook.md#millraceaggregatesstale)."
    plain, made = (described(build_defs(load({**SETTINGS, "MILLRACE_DOCS_URL": url}))) for url in ("", book))
    named = set(re.findall(r"docs/[\w-]+\.md", plain))
    assert "docs/runbook.md" in named
    assert all((Path(__file__).parents[2] / name).exists() for name in named)
    assert named == {f"docs/{name}" for name in re.findall(rf"]\({book}([\w-]+\.md)", made)}


def described(made: dg.Definitions) -> str:
    """All descriptions of assets and jobs."""
    assets = [node.description or "" for node in made.resolve_asset_graph().asset_nodes]
    return "\n".join([*assets, *(job.description or "" for job in made.resolve_all_job_defs())])
