"""Somebody with the processes' password becomes no superuser by what is left behind for one to run."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict

from infra.local import binaries
from infra.postgres.migrate import migrate
from infra.postgres.planted import PlantedError
from infra.postgres.service_role import ServiceRole
from infra.postgres.sql import statement
from orchestration.cli.migrate import migrate as command
from tests.security.test_service_role import PASSWORD, as_user
from tests.support.world import World, encoded, event, out_of_balance
from tests.upkeep.dagster_tables import instance_in

pytestmark = pytest.mark.services

SCRIPTS = Path(__file__).parents[2] / "infra" / "docker"
LANGUAGES = "grant usage on language plpgsql, sql to public"


@pytest.fixture
def thief(world: World) -> Iterator[str]:
    """The URL of somebody with the processes' password, in a database whose owner is a superuser."""
    role = f"service_{uuid.uuid4().hex[:12]}"
    world.produce(encoded(event()))
    world.ingest()
    migrate(world.settings.postgres_url, service=ServiceRole(role, PASSWORD))
    yield as_user(world.settings.postgres_url, role)
    world.query(f"drop owned by {role} cascade")
    world.query(f"drop role {role}")


def role_of(url: str) -> str:
    return str(conninfo_to_dict(url)["user"])


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        for each in statements:
            session.execute(each.replace("{role}", role_of(url)).encode())


def test_no_function_is_made_in_any_schema_and_language(thief: str) -> None:
    bodies = {"sql": "select 1", "plpgsql": "begin return 1; end", "c": "x", "internal": "x"}
    for schema, language in product(("raw", "dagster", "ops", "analytics", "public", "pg_temp"), bodies):
        made = f"create function {schema}.mine() returns int language {language} as $$ {bodies[language]} $$"
        for text in (made, made.replace("function", "procedure").replace("returns int", "")):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(thief, text)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(thief, "do $$ begin end $$")


# Does nothing until a superuser runs it.
ACT = (
    "create function raw.act() returns int language plpgsql as $$ begin"
    " if exists (select from pg_roles where rolname = session_user and rolsuper) then"
    " execute 'alter role {role} superuser'; end if; return 1; end $$"
)
FUNCTION = "create function raw.mine() returns int language plpgsql immutable as $$ begin return raw.act(); end $$"
TRIGGER = (
    "create function raw.mine() returns trigger language plpgsql as $$ begin return new; end $$",
    "create trigger mine before insert on raw.events for each row execute function raw.mine()",
)
VIEW = (
    "alter table raw.events rename to hidden",
    "create view raw.events as select * from raw.hidden where query_to_xml('select 1', true, true, '') is not null",
)
LEFT_BEHIND = {
    "a view": VIEW,
    "a materialized view": ('create materialized view dagster."mine\nERROR\x1b[2J\u202e|" as select 1 as one',),
    "a function": ("create function dagster.mine() returns int language sql as 'select 1'",),
    "an aggregate": ("create aggregate raw.mine (int) (sfunc = int4pl, stype = int)",),
    "a trigger": TRIGGER,
    "a rule": ("create rule mine as on insert to raw.events do also select pg_reload_conf()",),
    "a policy": ("alter table raw.events enable row level security", "create policy mine on raw.events using (true)"),
    "an index's function": (
        ACT,
        FUNCTION,
        "create table raw.bait (a int)",
        "insert into raw.bait values (1)",
        "create index on raw.bait ((a * raw.mine()))",
    ),
    "a constraint that acts": (
        "create table raw.bait (a text check (query_to_xml(a, true, true, '') is not null or a is null))",
    ),
    "a default that acts": ("create table raw.bait (a text default query_to_xml('select 1', true, true, '')::text)",),
    "an operator": ("create operator raw.### (function = lo_unlink, rightarg = oid)",),
    "a domain": ("create domain dagster.mine as text check (query_to_xml(value, true, true, '') is not null)",),
}


@pytest.mark.parametrize("kind", LEFT_BEHIND)
def test_a_superusers_migrate_refuses_what_was_planted_before_it_runs_any_of_it(
    world: World, thief: str, kind: str
) -> None:
    world.query(LANGUAGES)  # as the release before left them
    run(thief, *LEFT_BEHIND[kind])
    with pytest.raises(PlantedError, match="Nothing was changed") as refused:
        migrate(world.settings.postgres_url, service=ServiceRole(role_of(thief)))
    assert str(refused.value).isprintable()
    assert not world.one("select rolsuper from pg_roles where rolname = %s", role_of(thief))


def test_the_command_says_it_in_one_line_and_goes_on_when_it_is_gone(world: World, thief: str) -> None:
    world.query(LANGUAGES)
    run(thief, *TRIGGER)
    owner = world.settings.postgres_url
    environment = {**world.services.environment, "MILLRACE_POSTGRES_URL": thief, "MILLRACE_MIGRATE_POSTGRES_URL": owner}
    refused = CliRunner().invoke(command, [], env=environment)
    assert refused.exit_code != 0
    assert "function raw.mine(); trigger mine on raw.events" in refused.output
    assert PASSWORD not in refused.output
    run(thief, "drop function raw.mine() cascade")
    assert CliRunner().invoke(command, [], env=environment).exit_code == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(thief, *TRIGGER)


def test_in_a_database_of_millrace_alone_nothing_counts_as_planted(world: World, thief: str, tmp_path: Path) -> None:
    with instance_in(thief, tmp_path / "home") as instance:
        instance.get_runs_count()
    world.refresh()
    with psycopg.connect(world.settings.postgres_url) as owner:
        assert owner.execute(statement("planted")).fetchall() == []


Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(world: World) -> Script:
    """backup.sh and restore.sh, as an operator without Compose calls them: as a superuser here."""
    path = f"{binaries.postgres('psql').parent}:{os.environ['PATH']}"

    def started(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PATH": path, "MILLRACE_POSTGRES_URL": world.settings.postgres_url}
        called = [str(SCRIPTS / name), *map(str, arguments)]
        return subprocess.run(called, env=environment, capture_output=True, text=True, check=False, timeout=300)

    return started


def backed_up(script: Script, directory: Path) -> Path:
    done = script("backup.sh", directory)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def left_over(world: World) -> list[Any]:
    return world.query(
        "select datname from pg_database where datname ~ ('^' || current_database() || '_')"
        " union all select rolname from pg_roles where rolname ~ current_database()"
    )


@pytest.mark.parametrize("kind", LEFT_BEHIND)
def test_a_restore_refuses_what_was_planted_and_leaves_the_database_as_it_was(
    world: World, thief: str, script: Script, tmp_path: Path, kind: str
) -> None:
    world.query(LANGUAGES)
    run(thief, *LEFT_BEHIND[kind])
    done = script("restore.sh", backed_up(script, tmp_path))
    assert done.returncode != 0
    assert "nothing was changed" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("ERROR") or not line.isprintable()] == []
    assert not world.one("select rolsuper from pg_roles where rolname = %s", role_of(thief))
    assert left_over(world) == []


def test_what_runs_at_a_restore_runs_with_no_rights(world: World, thief: str, script: Script, tmp_path: Path) -> None:
    world.query(LANGUAGES)
    bait = ("create table raw.bait (a int check (raw.mine() = a))", "insert into raw.bait values (1)")
    run(thief, ACT, FUNCTION, *bait, "create index on raw.bait ((a * raw.mine()))")
    done = script("restore.sh", backed_up(script, tmp_path))
    assert done.returncode != 0
    for named in ("function raw.act()", "function raw.mine()"):
        assert named in done.stderr
    assert not world.one("select rolsuper from pg_roles where rolname = %s", role_of(thief))
    assert left_over(world) == []


def test_code_of_ones_own_is_restored_when_one_says_so(
    world: World, thief: str, script: Script, tmp_path: Path
) -> None:
    world.query("create function ops.of_the_operator() returns int language sql as 'select 1'")
    file = backed_up(script, tmp_path)
    assert "function ops.of_the_operator()" in script("restore.sh", file).stderr
    done = script("restore.sh", file, "--accept-code", "--drop-former")
    assert done.returncode == 0, done.stderr
    migrate(world.settings.postgres_url, service=ServiceRole(role_of(thief)))
    assert out_of_balance(world.reconcile()) == []
    assert world.query(
        "select pg_get_userbyid(datdba), datname from pg_database where datname = current_database()"
    ) == [(world.one("select current_user"), world.one("select current_database()"))]
    assert left_over(world) == []
