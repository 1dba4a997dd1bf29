"""What an analyst can do, and what not even a hostile one can."""

import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy

from assets.aggregates.catalog import metadata
from contract.contract import Contract
from infra.postgres.analyst_role import ROLE, Analysts, give_access
from infra.postgres.migrate import migrate
from infra.postgres.sql import statement
from infra.postgres.views import views
from tests.access.analyst import PASSWORD, ask, connect
from tests.support.world import World

pytestmark = pytest.mark.services

READ_WRITE = "set default_transaction_read_only = off"
HIDDEN = {"key", "value", "header_names", "header_values", "reason"}


@pytest.fixture
def world(open_world: World) -> World:
    return open_world


@pytest.mark.parametrize("table", sorted(t.name for t in metadata.tables.values() if t.schema == "analytics"))
def test_an_analyst_reads_every_table_by_its_bare_name(world: World, table: str) -> None:
    ask(world, f"select * from {table}")


@pytest.mark.parametrize("view", [made.name for made in views(Contract())])
def test_an_analyst_reads_every_view_by_its_bare_name(world: World, view: str) -> None:
    assert ask(world, f"select * from {view}")


def test_an_analyst_reads_the_raw_events(world: World) -> None:
    assert ask(world, "select count(*) from events") == [(len(Contract()) + 1,)]


def test_an_analyst_reads_a_table_that_is_made_later(world: World) -> None:
    world.query("create table analytics.made_later (a int)")
    assert ask(world, "select * from made_later") == []
    world.query("drop table analytics.made_later")


def test_an_analyst_counts_dead_letters_by_code(world: World) -> None:
    assert ask(world, "select code, count(*) from dead_letters group by code") == [("not_json", 1)]


def test_times_are_utc(world: World) -> None:
    assert ask(world, "show timezone") == [("UTC",)]


@pytest.mark.parametrize("column", sorted(HIDDEN))
def test_what_a_dead_letter_held_is_not_shown(world: World, column: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(world, f"select {column} from raw.dead_letters")


def test_every_other_column_of_the_dead_letters_is_shown(world: World) -> None:
    shown = {str(c.name) for c in metadata.tables["raw.dead_letters"].columns} - HIDDEN
    ask(world, f"select {', '.join(sorted(shown))} from raw.dead_letters")


@pytest.mark.parametrize("table", sorted(f"{t.schema}.{t.name}" for t in metadata.tables.values() if t.schema == "ops"))
def test_the_books_are_not_shown(world: World, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(world, f"select * from {table}")


def test_tables_of_dagster_are_not_shown(world: World) -> None:
    world.query("create schema if not exists dagster; create table if not exists dagster.runs (body text)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(world, "select * from dagster.runs")


def test_a_partition_is_not_read_but_through_its_parent(world: World) -> None:
    leaves = world.query("select relid::regclass::text from pg_partition_tree('raw.events') where isleaf")
    for (partition,) in leaves:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(world, f"select * from {partition}")


@pytest.mark.parametrize(
    "attack",
    [
        "insert into analytics.events_minutely values (now(), 'login', 1)",
        "update analytics.events_hourly set events = 0",
        "delete from raw.events",
        "truncate analytics.sessions",
        "delete from analytics.logins",
        "update raw.dead_letters set status = 'discarded'",
        "create table analytics.mine (a int)",
        "create table raw.mine (a int)",
        "create table public.mine (a int)",
        "create temp table mine (a int)",
        "create schema mine",
        "create view analytics.mine as select 1",
        "create function analytics.mine() returns int language sql as 'select 1'",
        "create function public.mine() returns int language sql as 'select 1'",
        "create function pg_temp.mine() returns int language sql as 'select 1'",
        "create or replace view analytics.live as select 1",
        "drop table analytics.sessions",
        "alter table raw.events disable trigger all",
        "create role another",
        "alter role millrace_analyst superuser",
        "alter role millrace_analyst bypassrls",
        "alter system set work_mem = '1GB'",
        "select rolpassword from pg_authid",
        "select * from pg_shadow",
        "select pg_read_file('postgresql.conf')",
        "copy raw.events to '/tmp/events'",
        "copy analytics.sessions to program 'cat'",
        "select lo_import('/etc/hostname')",
        "select pg_reload_conf()",
        "select pg_switch_wal()",
        "set role pg_read_all_data",
        "set session authorization millrace",
        "load 'auto_explain'",
    ],
)
def test_a_hostile_analyst_is_refused(world: World, attack: str) -> None:
    refusals = (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.WrongObjectType,
        psycopg.errors.ObjectNotInPrerequisiteState,  # of a view that joins tables
    )
    with pytest.raises(refusals):
        ask(world, attack, READ_WRITE)


def test_of_no_relation_in_any_schema_an_analyst_has_more_than_to_read_what_is_listed(world: World) -> None:
    world.query("create schema if not exists dagster; create table if not exists dagster.runs (body text)")
    relations = (
        " from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid"
        " where n.nspname !~ '^pg_|information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'f')"
    )
    writing = "insert, update, delete, truncate, references, trigger"
    writable = world.query(
        f"select c.oid::regclass::text {relations} and (has_table_privilege('{ROLE}', c.oid, '{writing}')"
        f" or has_any_column_privilege('{ROLE}', c.oid, 'insert, update, references'))"
    )
    assert writable == []
    readable = world.query(
        f"select distinct n.nspname::text, c.relname::text {relations} and n.nspname <> 'analytics'"
        f" and has_schema_privilege('{ROLE}', n.oid, 'usage') and has_any_column_privilege('{ROLE}', c.oid, 'select')"
    )
    assert sorted(readable) == [("raw", "dead_letters"), ("raw", "events")]
    usable = f"case when relkind = 'S' then has_sequence_privilege('{ROLE}', oid, 'usage, update') else false end"
    assert world.query(f"select relname from pg_class where {usable}") == []


def test_who_may_not_read_pg_stat_activity_sees_no_queries_of_others(world: World) -> None:
    with psycopg.connect(world.settings.postgres_url) as owner:
        owner.execute("select 'payload'")
        others = ask(world, "select distinct query from pg_stat_activity where usename <> current_user")
    assert others == [("<insufficient privilege>",)]


_BEHIND = """
select distinct v.relname, a.attname
from pg_class as v
inner join pg_rewrite as r on r.ev_class = v.oid
inner join pg_depend as d on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass and d.refobjid <> v.oid
inner join pg_attribute as a on a.attrelid = d.refobjid and a.attnum > 0 and not a.attisdropped
where v.relnamespace = 'analytics'::regnamespace and v.relkind = 'v'
and a.attname not in (select attname from pg_attribute where attrelid = v.oid)
"""


def test_a_predicate_cannot_make_a_view_show_what_it_hides(world: World) -> None:
    """Of each view, no column that only the tables behind it have."""
    hidden = world.query(_BEHIND)
    assert {("freshness", "event_ids"), ("dead_letters", "reason"), ("dead_letters", "value")} <= set(hidden)
    with connect(world) as session:
        for view, column in hidden:
            with pytest.raises(psycopg.errors.UndefinedColumn):
                session.execute(f"select 1 from {view} where {view}.{column} is not null".encode())


def test_an_analyst_calls_no_function_outside_of_postgres_own_in_any_schema(world: World) -> None:
    callable_ = (
        "select p.oid::regprocedure::text from pg_proc as p inner join pg_namespace as n on n.oid = p.pronamespace"
        " where n.nspname not in ('pg_catalog', 'information_schema')"
        f" and has_schema_privilege('{ROLE}', n.oid, 'usage')"
        f" and has_function_privilege('{ROLE}', p.oid, 'execute')"
    )
    assert world.query(callable_) == []


def test_writing_is_off_before_rights_are_even_looked_at(world: World) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        ask(world, "create table public.mine (a int)")


def test_a_query_that_takes_too_long_is_ended(world: World) -> None:
    migrate(world.settings.postgres_url, analysts=Analysts(statement_timeout=timedelta(milliseconds=100)))
    with pytest.raises(psycopg.errors.QueryCanceled):
        ask(world, "select pg_sleep(5)")
    migrate(world.settings.postgres_url)
    assert ask(world, "show statement_timeout") == [("1min",)]


def test_an_analyst_can_lift_the_time_out_of_a_session_which_is_why_the_docs_say_so(world: World) -> None:
    assert ask(world, "show statement_timeout", "set statement_timeout = 0") == [("0",)]


def test_no_more_sessions_than_the_limit(world: World) -> None:
    sessions = [connect(world) for _ in range(20)]
    with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
        connect(world)
    for session in sessions:
        session.close()


def test_nothing_is_in_excess_and_a_right_that_was_handed_to_everybody_is_taken_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.query("grant create on schema public to public")
    migrate(world.settings.postgres_url)
    with psycopg.connect(world.settings.postgres_url) as owner:
        assert owner.execute(statement("excess")).fetchall() == []
    assert caplog.messages == []
    world.query("create schema loose; grant create on schema loose to public")
    migrate(world.settings.postgres_url)
    assert "may create in schema loose" in caplog.text
    world.query("drop schema loose")


def test_the_password_is_nowhere_in_clear(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))
    assert world.one("select rolpassword from pg_authid where rolname = %s", ROLE).startswith("SCRAM-SHA-256$")
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(Analysts(PASSWORD))


def test_without_a_password_a_login_that_is_there_stays(world: World) -> None:
    migrate(world.settings.postgres_url)
    assert ask(world, "select 1") == [(1,)]


@pytest.fixture
def plain_owner(world: World) -> Iterator[str]:
    """The URL of an empty database, as its owner, who may not make roles."""
    name = f"o{uuid.uuid4().hex[:12]}"
    url = sqlalchemy.make_url(world.settings.postgres_url).set(username=name, password="x", database=name)
    world.query(f"create role {name} login password 'x'")
    world.query(f"create database {name} owner {name}")
    yield url.render_as_string(hide_password=False)
    world.query(f"drop database {name} with (force)")
    world.query(f"drop role {name}")


def test_an_owner_who_may_not_alter_the_role_still_gives_it_access_and_says_what_is_left(
    world: World, plain_owner: str, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(plain_owner, analysts=Analysts("not taken"))
    told, *excess = [r.getMessage() for r in caplog.records if r.name.startswith("millrace")]
    assert told == "password and limits of millrace_analyst are left as they are: this user may not alter it"
    assert any("may call" in each and "pg_advisory_lock" in each for each in excess)
    assert any("may write functions in" in each for each in excess)
    with psycopg.connect(plain_owner, user=ROLE, password=PASSWORD) as session:
        assert session.execute("select count(*) from analytics.logins").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("select * from ops.batches")


def test_an_owner_who_may_not_make_the_role_is_told_once_and_everything_else_is_done(
    world: World, plain_owner: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.query(f"alter role {ROLE} rename to hidden_for_a_while")
    try:
        migrate(plain_owner)
    finally:
        world.query(f"alter role hidden_for_a_while rename to {ROLE}")
    [told] = [record.getMessage() for record in caplog.records if record.name.startswith("millrace")]
    assert "create role millrace_analyst" in told
    with psycopg.connect(plain_owner) as session:
        assert session.execute("select count(*) from analytics.logins").fetchone() == (0,)


def _three_times(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        for _ in range(3):
            give_access(owner, Analysts(PASSWORD))


def test_databases_of_one_cluster_may_give_access_at_once_and_the_role_is_made_by_any(world: World) -> None:
    names = [f"c{uuid.uuid4().hex[:12]}" for _ in range(3)]
    base = sqlalchemy.make_url(world.settings.postgres_url)
    urls = [base.set(database=name).render_as_string(hide_password=False) for name in names]
    for name, url in zip(names, urls, strict=True):
        world.query(f"create database {name}")
        migrate(url, "0006")
    world.query(f"alter role {ROLE} rename to hidden_for_a_while")
    try:
        with ThreadPoolExecutor(len(urls)) as pool:
            list(pool.map(_three_times, urls))
        for url in urls:
            with psycopg.connect(url, user=ROLE, password=PASSWORD) as session:
                assert session.execute("show statement_timeout").fetchone() == ("1min",)
    finally:
        for name in names:
            world.query(f"drop database {name} with (force)")
        world.query(f"drop role if exists {ROLE}")
        world.query(f"alter role hidden_for_a_while rename to {ROLE}")
