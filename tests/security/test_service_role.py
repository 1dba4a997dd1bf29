"""The processes do all of their work as a role with few rights, and what they need not do is refused to it."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import sqlalchemy
from click.testing import CliRunner

from assets.upkeep.assets import Upkeep, upkeep_assets
from assets.upkeep.dagster_history import RunHistory
from infra.local.harness import Running
from infra.postgres.migrate import migrate
from infra.postgres.service_role import ServiceRole, ServiceRoleError, service_of
from orchestration.cli.migrate import migrate as command
from orchestration.factories import make_aggregates
from orchestration.jobs import UPKEEP_JOBS, upkeep_jobs
from sensors.upkeep_schedules import upkeep_schedules
from tests.erasure.support import erase, of, retain
from tests.support.world import World, encoded, event, fresh_world, out_of_balance
from tests.system.system import eventually
from tests.upkeep.dagster_tables import instance_in

pytestmark = pytest.mark.services

PASSWORD = "pass/word%of-the-processes"  # a character that a URL must escape


def as_user(url: str, user: str, password: str = PASSWORD, database: str | None = None) -> str:
    """The URL of the same database for somebody else."""
    made = sqlalchemy.make_url(url).set(username=user, password=password)
    return (made.set(database=database) if database else made).render_as_string(hide_password=False)


@pytest.fixture
def role(world: World) -> Iterator[str]:
    """A name for the role; what is left of it goes afterwards."""
    name = f"service_{uuid.uuid4().hex[:12]}"
    yield name
    eventually(lambda: not world.query("select from pg_stat_activity where usename = %s", name))  # nor temporary tables
    if world.one("select exists (select from pg_roles where rolname = %s)", name):
        world.query(f"reassign owned by {name} to {world.one('select quote_ident(current_user)')}")
        world.query(f"drop owned by {name}")
        world.query(f"drop role {name}")


@pytest.fixture
def limited(world: World, role: str) -> Iterator[World]:
    """The same world through the eyes of the processes."""
    migrate(world.settings.postgres_url, service=ServiceRole(role, PASSWORD))
    settings = world.settings.model_copy(update={"postgres_url": as_user(world.settings.postgres_url, role)})
    made = World(world.services, settings, world.topic, world.failpoints)
    assert made.one("select current_user") == role
    yield made
    made.worker.close()
    made.aggregates.close()


@pytest.fixture(scope="module")
def shared(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    """A world and the same for the processes, for tests that change nothing."""
    name = f"service_{uuid.uuid4().hex[:12]}"
    with fresh_world(services, tmp_path_factory.mktemp("shared")) as world:
        migrate(world.settings.postgres_url, service=ServiceRole(name, PASSWORD))
        settings = world.settings.model_copy(update={"postgres_url": as_user(world.settings.postgres_url, name)})
        limited = World(services, settings, world.topic, world.failpoints)
        yield world, limited
        limited.worker.close()
        limited.aggregates.close()
        world.query(f"drop owned by {name} cascade")
        world.query(f"drop role {name}")


def weeks_old(world: World) -> None:
    """As in a database that was made some weeks ago; its owner does that."""
    first = (datetime.now(UTC) - timedelta(days=20)).date()
    world.query("alter table raw.events detach partition raw.events_old")
    world.query(f"alter table raw.events attach partition raw.events_old for values from (minvalue) to ('{first}')")


def test_ingest_refresh_retention_and_erasure_need_no_more(world: World, limited: World) -> None:
    weeks_old(world)
    again = of("u", days_ago=1)
    events = [*(of("u", days_ago=days) for days in (1, 2, 5, 30)), again, again, of("gone", kind="login")]
    limited.produce([*encoded(*events), b"not json", None])
    limited.ingest()
    limited.refresh()
    assert retain(limited, 3).left == []
    assert erase(limited, "gone").events == 1
    limited.refresh()
    assert out_of_balance(limited.reconcile()) == []
    assert limited.totals()["stored"] > 0


def test_the_upkeep_and_dagsters_own_tables_need_no_more(limited: World, tmp_path: Path) -> None:
    limited.produce(encoded(event()))
    limited.ingest()
    history = RunHistory((*UPKEEP_JOBS.values(),), succeeded=timedelta(hours=6))
    upkeep = Upkeep(limited.worker.postgres, make_aggregates(limited.settings), history)
    made = dg.Definitions(
        assets=upkeep_assets(["team:platform"]),
        jobs=upkeep_jobs(),
        schedules=upkeep_schedules(UPKEEP_JOBS),
        resources={"upkeep": upkeep},
    )
    with instance_in(limited.settings.postgres_url, tmp_path / "home") as instance:
        for job in UPKEEP_JOBS.values():
            assert made.resolve_job_def(job).execute_in_process(instance=instance).success
    assert limited.one("select count(*) from dagster.runs") == len(UPKEEP_JOBS)


@pytest.mark.parametrize(
    "attack",
    [
        "drop table ops.offsets",
        "drop table analytics.events_hourly",
        "drop table raw.dead_letters",
        "drop schema ops cascade",
        "truncate ops.batches",
        "alter table ops.batches disable trigger all",
        "alter table ops.batches drop constraint batches_accounted_check",
        "create table ops.mine (a int)",
        "create table analytics.mine (a int)",
        "create table public.mine (a int)",
        "create schema mine",
        "create or replace view analytics.live as select 1",
        "delete from ops.offsets",
        "delete from ops.gaps",
        "delete from ops.totals",
        "update ops.erasure_key set key = '\\x00'",
        "delete from ops.erasure_key",
        "update ops.claim_key set key = '\\x00'",
        "delete from ops.erasures",
        "update ops.alembic_version set version_num = 'x'",
        "alter function pg_catalog.now() owner to current_user",
        "create function analytics.mine() returns int language sql as 'select 1'",
        "create role another",
        "alter role {role} createdb",
        "alter role {role} superuser",
        "create database another",
        "select rolpassword from pg_authid",
        "select pg_read_file('postgresql.conf')",
        "copy raw.events to '/tmp/events'",
        "copy raw.events to program 'cat'",
        "alter system set fsync = off",
        "set role millrace",
        "load 'auto_explain'",
    ],
)
def test_what_the_processes_need_not_do_is_refused(shared: tuple[World, World], attack: str) -> None:
    _, limited = shared
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        limited.query(attack.replace("{role}", str(limited.one("select current_user"))))


def test_no_other_table_is_dropped_altered_emptied_or_renamed(shared: tuple[World, World]) -> None:
    _, limited = shared
    tables = [
        str(name)
        for (name,) in limited.query(
            "select format('%%I.%%I', n.nspname, c.relname) from pg_class as c"
            " inner join pg_namespace as n on c.relnamespace = n.oid where n.nspname in ('raw', 'ops', 'analytics')"
            " and c.relkind = 'r' and c.relname !~ '^events_(old|[0-9]{8})$' or c.oid = 'raw.dead_letters'::regclass"
        )
    ]
    assert {"ops.offsets", "ops.batches", "raw.dead_letters", "analytics.sessions"} <= set(tables)
    for change in (
        "drop table {}",
        "truncate {}",
        "alter table {} add column mine int",
        "alter table {} rename to mine",
    ):
        for table in tables:
            # A new day empties its slot of who was counted; these rows can be made again from raw.events.
            if change.startswith("truncate") and table.startswith("ops.hour_members_"):
                continue
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                limited.query(change.replace("{}", table))


def test_rights_cannot_be_handed_on(shared: tuple[World, World]) -> None:
    world, limited = shared
    limited.query("grant select on ops.batches to millrace_analyst")  # PostgreSQL only warns
    assert not world.one("select has_table_privilege('millrace_analyst', 'ops.batches', 'select')")


def test_sessions_of_others_cannot_be_ended(shared: tuple[World, World]) -> None:
    world, limited = shared
    with psycopg.connect(world.settings.postgres_url) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
        limited.query("select pg_terminate_backend(%s)", owner.info.backend_pid)


def test_the_days_of_raw_events_can_be_dropped_which_is_what_the_docs_admit(limited: World) -> None:
    limited.query("drop table raw.events cascade")
    assert limited.one("select to_regclass('raw.events')") is None


def test_it_is_safe_to_repeat_and_takes_back_what_was_given_meanwhile(world: World, limited: World) -> None:
    role = limited.one("select current_user")
    world.query(f"grant truncate on ops.batches to {role}; grant delete on ops.erasures to {role}")
    for _ in range(2):
        migrate(world.settings.postgres_url, service=ServiceRole(role))
    limited.produce(encoded(event()))
    limited.ingest()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        limited.query("delete from ops.erasures")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        limited.query("truncate ops.batches")


def test_a_database_that_was_run_by_its_owner_is_handed_over_dagsters_tables_included(
    world: World, role: str, tmp_path: Path
) -> None:
    world.produce(encoded(event()))
    world.ingest()
    with instance_in(world.settings.postgres_url, tmp_path / "before") as instance:
        instance.get_runs_count()
    migrate(world.settings.postgres_url, service=ServiceRole(role, PASSWORD))
    owners = "select distinct pg_get_userbyid(relowner) from pg_class where relnamespace = 'dagster'::regnamespace"
    assert world.query(owners) == [(role,)]
    assert world.query(
        "select distinct pg_get_userbyid(c.relowner) from pg_partition_tree('raw.events') as t"
        " inner join pg_class as c on t.relid = c.oid"
    ) == [(role,)]


def test_an_owner_who_is_no_superuser_can_do_it(world: World, role: str) -> None:
    owner = f"owner_{uuid.uuid4().hex[:12]}"
    world.query(f"create role {owner} login createrole password 'x'")
    world.query(f"create database {owner} owner {owner}")
    url = as_user(world.settings.postgres_url, owner, "x", owner)
    try:
        for _ in range(2):
            migrate(url, service=ServiceRole(role, PASSWORD))
        with psycopg.connect(as_user(url, role)) as session:
            session.execute("create table raw.events_20300101 (like raw.events including all)")
            session.execute("create table dagster.runs (a int)")
            assert session.execute("select count(*) from ops.offsets").fetchone() == (0,)
    finally:
        world.query(f"drop database {owner} with (force)")
        world.query(f"drop role {role}")
        world.query(f"drop role {owner}")


def test_the_command_makes_the_role_of_the_url_and_shows_no_password(world: World, role: str) -> None:
    owner = world.settings.postgres_url
    environment = {
        **world.services.environment,
        "MILLRACE_POSTGRES_URL": as_user(owner, role),
        "MILLRACE_MIGRATE_POSTGRES_URL": owner,
    }
    answer = CliRunner().invoke(command, [], env=environment)
    assert answer.exit_code == 0, answer.output
    assert PASSWORD not in answer.output
    with psycopg.connect(as_user(owner, role)) as session:
        assert session.execute("select current_user").fetchone() == (role,)
    assert world.one("select rolpassword from pg_authid where rolname = %s", role).startswith("SCRAM-SHA-256$")


def test_what_cannot_be_is_said_in_one_line(world: World, role: str) -> None:
    url = world.settings.postgres_url
    with pytest.raises(ServiceRoleError, match="different databases"):
        service_of(as_user(url, role, database="another"), url)
    with pytest.raises(ServiceRoleError, match="names no user"):
        service_of("postgresql://host/database", url)
    with pytest.raises(ServiceRoleError, match="migrates, so"):
        migrate(url, service=service_of(url, url))
    world.query(f"create role {role} login createdb")
    with pytest.raises(ServiceRoleError, match="more than a plain role"):
        migrate(url, service=ServiceRole(role))
