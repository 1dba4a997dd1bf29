"""What is generated is committed as it would be generated now, and the migrations make what the metadata says."""

import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from assets.aggregates.catalog import metadata
from infra.postgres.migrate import engine, migrate
from orchestration.generate import documents
from orchestration.new_migration import COMPARED, MIGRATIONS, write
from tests.support.world import World

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted(documents()))
def test_a_generated_file_is_current(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == documents()[path], "run `make docs`"


@pytest.mark.services
def test_the_migrations_make_what_the_metadata_says(world: World) -> None:
    with engine(world.settings.postgres_url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=COMPARED), metadata) == []


@pytest.mark.services
def test_make_migration_writes_what_is_missing_with_every_comment(world: World, tmp_path: Path) -> None:
    """Tables that no migration made yet are played by two that somebody dropped."""
    migrations = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    for table in ("analytics.forms_hourly", "analytics.retention_weekly"):
        world.query(f"drop table {table}")
    with engine(world.settings.postgres_url).connect() as connection:
        file = write(connection, migrations)
        assert file is not None
        assert file.name.endswith("_forms_hourly_retention_weekly.sql")
        connection.execute(text(file.read_text(encoding="utf-8")))
        assert compare_metadata(MigrationContext.configure(connection, opts=COMPARED), metadata) == []
        assert write(connection, migrations) is None
    back = file.with_suffix(".py").read_text(encoding="utf-8")
    assert 'op.execute("drop table analytics.forms_hourly")' in back
    assert len(ScriptDirectory(migrations).get_heads()) == 1


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
