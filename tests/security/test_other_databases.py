"""An analyst in the other databases of the server, where nothing is taken from the role: it does not get there."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy

from infra.postgres.analyst_role import ROLE, Analysts
from infra.postgres.migrate import migrate
from orchestration.cli.doctor import database as doctor
from tests.access.analyst import PASSWORD
from tests.support.world import World

pytestmark = pytest.mark.services

CAN_CONNECT = "select datname from pg_database where datallowconn and has_database_privilege(%s, oid, 'connect')"


@pytest.fixture
def other(world: World) -> Iterator[str]:
    """Another system's database and its roles: an owner, and somebody with a right to one table."""
    name = f"other_{uuid.uuid4().hex[:12]}"
    world.query(f"create role {name} login password 'x'")
    world.query(f"create role {name}_reader login password 'x'")
    world.query(f"create database {name} owner {name}")
    with psycopg.connect(as_user(world, name, "x", name)) as owner:
        owner.execute(f"create table theirs (a int); grant select on theirs to {name}_reader".encode())
    yield name
    world.query(f"drop database {name} with (force)")
    world.query(f"drop owned by {name}_reader; drop role {name}_reader, {name}")


def as_user(world: World, user: str, password: str, database: str) -> str:
    made = sqlalchemy.make_url(world.settings.postgres_url).set(username=user, password=password, database=database)
    return made.render_as_string(hide_password=False)


def as_analyst(world: World, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(world.settings.postgres_url, user=ROLE, password=PASSWORD, dbname=database)


def as_released_before(world: World) -> None:
    """Everybody may connect to everything, as PostgreSQL makes it."""
    for (name,) in world.query("select datname from pg_database where datallowconn"):
        world.query(f"grant connect on database {name} to public")


def test_an_analyst_connects_to_no_other_database_of_the_server(world: World, other: str) -> None:
    as_released_before(world)
    migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))
    for database in ("postgres", "template1", other):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            as_analyst(world, database)
    with as_analyst(world, world.one("select current_database()")) as session:
        assert session.execute("select count(*) from raw.events").fetchone() == (0,)


def test_who_works_in_another_database_still_connects_to_it(world: World, other: str) -> None:
    as_released_before(world)
    migrate(world.settings.postgres_url)
    for role in (other, f"{other}_reader"):
        with psycopg.connect(as_user(world, role, "x", other)) as session:
            assert session.execute("select count(*) from theirs").fetchone() == (0,)


def test_the_analysts_of_another_millrace_on_the_server_keep_their_database(world: World) -> None:
    name = f"second_{uuid.uuid4().hex[:12]}"
    world.query(f"create database {name}")
    try:
        migrate(as_user(world, *_owner(world), name), analysts=Analysts(PASSWORD))
        world.query(f"revoke connect on database {name} from {ROLE}; grant connect on database {name} to public")
        migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))
        as_analyst(world, name).close()
    finally:
        world.query(f"drop database {name} with (force)")


def test_where_it_cannot_be_taken_away_migrate_and_the_doctor_say_so(
    world: World, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    as_released_before(world)
    url = as_user(world, other, "x", other)
    migrate(url)  # the owner of his own database, who is no superuser
    assert "may connect to database postgres" in caplog.text
    found = doctor.rights(url)
    assert found.level == "WARN"
    assert "postgres" in found.text
    assert "pg_advisory_lock" in found.text
    assert "docs/security.md" in found.advice


def test_the_doctor_finds_nothing_after_the_migrate_of_a_superuser(world: World) -> None:
    as_released_before(world)
    migrate(world.settings.postgres_url)
    assert doctor.rights(world.settings.postgres_url).level == "OK"


def test_a_database_that_is_created_later_is_named_by_the_doctor_and_closed_by_the_next_migrate(world: World) -> None:
    migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))
    name = f"later_{uuid.uuid4().hex[:12]}"
    world.query(f"create database {name}")  # PostgreSQL copies no rights from the template
    try:
        as_analyst(world, name).close()
        found = doctor.rights(world.settings.postgres_url)
        assert (found.level, name in found.text) == ("WARN", True)
        migrate(world.settings.postgres_url)
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            as_analyst(world, name)
    finally:
        world.query(f"drop database {name} with (force)")


def _owner(world: World) -> tuple[str, str]:
    made = sqlalchemy.make_url(world.settings.postgres_url)
    return str(made.username), str(made.password)
