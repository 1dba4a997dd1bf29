"""What is generated is committed as it would be generated now, and the migrations make what the metadata says."""

import re
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from assets.aggregates.catalog import metadata
from infra.postgres.migrate import engine, migrate
from orchestration.generate import documents
from tests.support.world import World

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted(documents()))
def test_a_generated_file_is_current(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == documents()[path], "run `make docs`"


def _ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    return not (kind == "table" and re.fullmatch(r"events_(old|\d{8})|alembic_version", name or ""))


def _schema(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "schema" or name in ("raw", "ops", "analytics")


@pytest.mark.services
def test_the_migrations_make_what_the_metadata_says(world: World) -> None:
    with engine(world.settings.postgres_url).connect() as connection:
        options = {
            "include_schemas": True,
            "include_object": _ours,
            "include_name": _schema,
            "compare_type": True,
            "compare_server_default": True,
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


@pytest.mark.services
def test_migrations_may_run_again_at_every_start(world: World) -> None:
    migrate(world.settings.postgres_url)


@pytest.mark.services
def test_every_table_and_column_has_a_comment(world: World) -> None:
    assert (
        world.query(
            "select c.oid::regclass::text, a.attname"
            " from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid"
            " where c.relnamespace in ('raw'::regnamespace, 'ops'::regnamespace, 'analytics'::regnamespace)"
            " and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped"
            " and c.relname <> 'alembic_version' and col_description(c.oid, a.attnum) is null"
        )
        == []
    )


@pytest.mark.services
def test_a_release_that_was_rolled_back_leaves_the_schema_of_the_newer_one_as_it_is(world: World) -> None:
    world.query("update ops.alembic_version set version_num = '9999'")
    world.query("create view analytics.of_the_newer_release as select 1 as one")
    migrate(world.settings.postgres_url)
    assert world.one("select version_num from ops.alembic_version") == "9999"
    assert world.one("select one from analytics.of_the_newer_release") == 1
