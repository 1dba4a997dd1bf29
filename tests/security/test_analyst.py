"""A hostile analyst against the processes and the disk; what the role may read and write is in `tests/access`."""

from collections.abc import Iterator

import psycopg
import pytest

from infra.local.harness import Running
from infra.postgres.analyst_role import ROLE, Analysts
from infra.postgres.migrate import migrate
from tests.access.analyst import PASSWORD, ask, connect
from tests.support.world import World, encoded, event, fresh_world, out_of_balance

pytestmark = pytest.mark.services

READ_WRITE = "set default_transaction_read_only = off"
READABLE = (
    "select format('%I.%I', schemaname, name) from (select schemaname, tablename as name from pg_tables"
    " union all select schemaname, viewname from pg_views) as relations"
    " where schemaname in ('raw', 'analytics', 'ops') and has_schema_privilege(schemaname, 'usage')"
    " and has_table_privilege(format('%I.%I', schemaname, name), 'select')"
)


@pytest.fixture
def open_world(world: World) -> Iterator[World]:
    """A world that analysts can log in to, and can again afterwards."""
    migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))
    yield world
    migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))


def test_who_holds_all_locks_that_an_analyst_can_have_stops_no_event(open_world: World) -> None:
    with connect(open_world) as session, session.transaction():
        readable = [str(name) for (name,) in session.execute(READABLE).fetchall()]
        assert {"raw.events", "analytics.live", "analytics.events_hourly"} <= set(readable)
        session.execute(f"lock table {', '.join(readable)} in access share mode".encode())
        open_world.produce(encoded(event(), event()))  # the first of their day, which gets its partition now
        open_world.ingest()
        open_world.refresh()
        assert out_of_balance(open_world.reconcile()) == []
    assert open_world.one("select sum(events)::int from analytics.events_hourly") == 2


@pytest.mark.parametrize(
    "attack",
    [
        "select pg_advisory_lock(1)",  # the ingest and the refreshes wait for such locks
        "select pg_advisory_xact_lock(1, 1)",
        "select pg_try_advisory_lock(1)",
        "select pg_try_advisory_xact_lock_shared(1)",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'x')",
        "select pg_logical_emit_message(false, 'x', 'y')",
        "select pg_export_snapshot()",  # a file each
        "select pg_current_xact_id()",  # a transaction's number each, and a lock each with savepoints
        "select txid_current()",
        "select pg_notify('x', 'y')",
        "do $$ begin raise log 'a line of the log'; end $$",
        "set log_min_messages = log",
        "alter role millrace_analyst in database {database} set log_min_messages = log",
        "alter role millrace_analyst set log_min_duration_statement = 0",
        "alter role millrace_analyst in database {database} set log_statement = 'all'",
        "alter role millrace_analyst connection limit 1000",
        "set temp_file_limit = -1",
        "alter role millrace_analyst in database {database} reset temp_file_limit",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename <> current_user",
        "create publication mine",
        "select query_to_xml('select * from ops.batches', true, true, '')",
        "do $$ begin execute 'select * from ops.erasure_key'; end $$",
        "do $$ begin execute 'select * from ops.claim_key'; end $$",
        "select d from raw.dead_letters as d",
        "select * from raw.events for key share",
        "lock table raw.events in share mode",
        "lock table ops.offsets in access share mode",
    ],
)
def test_what_would_stop_the_processes_or_fill_the_disk_is_refused(refused: World, attack: str) -> None:
    database = refused.one("select current_database()")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(refused, f"begin; {attack.replace('{database}', database)}", READ_WRITE)


def test_no_function_that_locks_or_writes_without_a_right_to_a_table_is_left_to_an_analyst(refused: World) -> None:
    assert (
        ask(
            refused,
            "select oid::regprocedure::text from pg_proc where has_function_privilege(oid, 'execute') and proname ~"
            " 'advisory.*_lock|^lo_(creat|create|from_bytea|import)$|emit_message|export_snapshot|^pg_notify$"
            "|(txid_current|pg_current_xact_id)$'",
        )
        == []
    )


def test_what_everybody_could_do_in_the_release_before_is_taken_away_by_the_next_migrate(open_world: World) -> None:
    database = open_world.one("select current_database()")
    for name in ("pg_advisory_lock(bigint)", "pg_export_snapshot()", "txid_current()", "pg_notify(text, text)"):
        open_world.query(f"grant execute on function {name} to public")
    open_world.query("grant usage on language sql, plpgsql to public")
    open_world.query(f"alter role {ROLE} in database {database} reset log_min_messages")
    migrate(open_world.settings.postgres_url, analysts=Analysts(PASSWORD))
    for attack in ("select pg_advisory_lock(1)", "select pg_export_snapshot()", "select txid_current()", "do ''"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(open_world, f"begin; {attack}", READ_WRITE)
    assert ask(open_world, "show log_min_messages") == [("panic",)]


def test_an_analyst_has_no_language_to_write_functions_in(refused: World) -> None:
    open_to_all = "select lanname from pg_language where has_language_privilege(oid, 'usage')"
    assert ask(refused, f"{open_to_all} and lanpltrusted") == []


def test_prepared_transactions_which_outlive_their_session_are_off(refused: World) -> None:
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        ask(refused, "begin; lock table raw.events in access share mode; prepare transaction 'x'", READ_WRITE)


@pytest.fixture(scope="module")
def refused(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world for tests that change nothing."""
    with fresh_world(services, tmp_path_factory.mktemp("refused")) as made:
        migrate(made.settings.postgres_url, analysts=Analysts(PASSWORD))
        made.produce(encoded(event()))
        made.ingest()
        yield made


def test_statistics_show_no_value_of_what_is_hidden(refused: World) -> None:
    refused.query("analyze ops.batches, raw.dead_letters, raw.events")
    refused.query("create schema if not exists dagster; create table if not exists dagster.runs (body text)")
    refused.query("insert into dagster.runs select 'hidden' from generate_series(1, 100); analyze dagster.runs")
    elsewhere = "where schemaname not in ('analytics', 'pg_catalog', 'information_schema')"
    shown = ask(refused, f"select distinct schemaname, tablename from pg_stats {elsewhere}")
    assert shown in ([], [("raw", "events")])
    assert ask(refused, f"select 1 from pg_stats_ext {elsewhere}") == []


def test_temporary_files_end_at_two_gigabytes_a_session(refused: World) -> None:
    assert ask(refused, "show temp_file_limit") == [("2GB",)]


def test_all_analysts_are_one_role_so_they_see_and_end_each_others_queries(refused: World) -> None:
    with connect(refused) as victim:
        victim.execute("select 'what I look for'")
        asked = "select query, pg_terminate_backend(pid) from pg_stat_activity where pid = {}"
        assert ask(refused, asked.replace("{}", str(victim.info.backend_pid))) == [("select 'what I look for'", True)]


def test_an_analyst_can_change_the_password_and_the_settings_of_the_role_until_the_next_migrate(
    open_world: World,
) -> None:
    database = open_world.one("select current_database()")
    ask(open_world, f"alter role {ROLE} in database {database} set statement_timeout = 0", READ_WRITE)
    assert ask(open_world, "show statement_timeout") == [("0",)]
    ask(open_world, f"alter role {ROLE} in database {database} set work_mem = '1GB'", READ_WRITE)
    ask(open_world, f"alter role {ROLE} set search_path = '{'x' * 100_000}'", READ_WRITE)
    ask(open_world, f"alter role {ROLE} password 'another'", READ_WRITE)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(open_world)
    migrate(open_world.settings.postgres_url, analysts=Analysts(PASSWORD))
    assert ask(open_world, "show statement_timeout") == [("1min",)]
    assert ask(open_world, "show work_mem") == open_world.query("show work_mem")
    assert open_world.query("select 1 from pg_db_role_setting where length(setconfig::text) > 10000") == []


def test_what_an_analyst_can_still_use_up_which_is_why_there_are_alerts(open_world: World) -> None:
    next_id = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    before = open_world.one(next_id)
    for _ in range(10):
        ask(open_world, f"alter role {ROLE} set work_mem = '8MB'", READ_WRITE)
    assert open_world.one(next_id) >= before + 10
    with connect(open_world) as listening, connect(open_world) as telling:
        listening.execute("listen x")
        with listening.transaction():
            listening.execute("select 1")
            for _ in range(20):
                telling.execute(f"notify x, '{'y' * 7900}'".encode())
            assert open_world.one("select pg_notification_queue_usage()") > 0


def test_each_nested_savepoint_of_an_analyst_can_hold_a_lock_which_is_why_the_docs_say_so(open_world: World) -> None:
    with connect(open_world) as session:
        session.execute(READ_WRITE.encode())
        session.execute("begin")
        for number in range(10):
            session.execute(f"savepoint s{number}; alter role {ROLE} set work_mem = '{number + 1}MB'".encode())
        held = "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'transactionid'"
        assert session.execute(held.encode()).fetchone() == (11,)
        session.execute("rollback")
