"""The instance that `prepare_home` makes, and the storages that it yields, on a real PostgreSQL."""

# pyright: reportPrivateUsage=false

import logging
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
import yaml
from dagster import AssetKey, DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.workspace.load import location_origins_from_yaml_paths
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import make_url

from infra.local.harness import Running
from orchestration.dagster_runtime import daemon, pool, storages
from orchestration.dagster_runtime.instance import check_environment, prepare_home, workspace_file
from orchestration.dagster_runtime.launcher import WarmRunLauncher
from orchestration.dagster_runtime.monitor import QueueAwareMonitoringDaemon
from orchestration.settings import SettingsError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def database(services: Running) -> str:
    """The URL of a new, empty database."""
    url, name = services.environment["MILLRACE_POSTGRES_URL"], f"engine_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}")  # pyright: ignore[reportArgumentType, reportCallIssue]
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def home(database: str, services: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", database)
    monkeypatch.setenv("MILLRACE_BROKER_URL", services.environment["MILLRACE_BROKER_URL"])
    prepare_home(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def instance(home: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.from_config(str(home)) as made:
        yield made


def tables(database: str) -> dict[str, set[str]]:
    """Table names by schema."""
    query = "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    found: dict[str, set[str]] = {}
    with psycopg.connect(database) as connection:
        for schema, table in connection.execute(query):
            found.setdefault(schema, set()).add(table)
    return found


@pytest.mark.services
def test_the_instance_is_made_of_our_parts(instance: DagsterInstance) -> None:
    assert type(instance.run_storage) is storages.PooledRunStorage
    assert type(instance.event_log_storage) is storages.PooledEventLogStorage
    assert type(instance.schedule_storage) is storages.PooledScheduleStorage
    assert type(instance.run_launcher) is WarmRunLauncher
    assert type(instance.run_coordinator) is DefaultRunCoordinator
    assert type(instance.compute_log_manager) is NoOpComputeLogManager
    assert "PooledRunStorage" in instance.info_str()
    assert not instance.telemetry_enabled


@pytest.mark.services
def test_the_daemons_are_dagster_s_but_for_two(instance: DagsterInstance) -> None:
    made = {type(each) for each in daemon.make_daemons(instance)}
    assert {daemon.FastSensorDaemon, QueueAwareMonitoringDaemon} <= made
    names = {each.__name__ for each in made}
    assert {"SchedulerDaemon", "BackfillDaemon"} <= names
    assert not {"SensorDaemon", "MonitoringDaemon", "QueuedRunCoordinatorDaemon"} & names


@pytest.mark.services
def test_ticks_of_every_kind_are_kept_for_days_and_no_longer(instance: DagsterInstance) -> None:
    for kind in (InstigatorType.SENSOR, InstigatorType.SCHEDULE, InstigatorType.AUTO_MATERIALIZE):
        days = set(instance.get_tick_retention_settings(kind).values())
        assert len(days) == 1
        assert 1 <= days.pop() <= 7


@pytest.mark.services
def test_dagster_s_tables_live_in_a_schema_of_their_own(instance: DagsterInstance, database: str) -> None:
    found = tables(database)
    assert set(found) == {"dagster"}
    assert {"runs", "event_logs", "job_ticks", "alembic_version"} <= found["dagster"]


@pytest.mark.services
def test_dagster_s_migrations_find_their_place(instance: DagsterInstance, database: str) -> None:
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        assert storage is not None
        version = storage.alembic_version()
        assert version is not None
        assert version[0] == version[1] is not None
    instance.upgrade()
    assert set(tables(database)) == {"dagster"}


@pytest.mark.services
def test_an_instance_for_each_run_shares_one_small_pool(home: Path, database: str) -> None:
    engines: set[int] = set()
    for _ in range(10):
        with DagsterInstance.from_config(str(home)) as each:
            each.get_runs(limit=1)
            each.all_instigator_state()
            engines |= {id(vars(storage)["_engine"]) for storage in (each.run_storage, each.event_log_storage)}
    assert len(engines) == 1
    query = "select count(*) from pg_stat_activity where application_name = %s and datname = current_database()"
    with psycopg.connect(database) as connection:
        assert connection.execute(query, [pool.APPLICATION_NAME]).fetchone() == (1,)


@pytest.mark.services
def test_an_operation_asks_the_server_nothing_but_its_own_statement(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick of a sensor is nine operations. Stock asks for the connection and for the tables, twice each, before."""
    instance.all_instigator_state()
    instance.get_runs(limit=1)
    asked: list[object] = []

    def ask(_dialect: PGDialect_psycopg2, connection: object) -> bool:
        asked.append(connection)
        return True

    monkeypatch.setattr(PGDialect_psycopg2, "do_ping", ask)
    opened: list[object] = []
    storage = instance.schedule_storage
    assert isinstance(storage, storages.PooledScheduleStorage)
    sqlalchemy_event.listen(storage._engine, "checkout", lambda *_: opened.append(None))
    instance.all_instigator_state()
    instance.get_runs(limit=1)
    assert (len(opened), asked) == (2, [])


@pytest.mark.services
def test_what_a_run_is_going_to_make_is_written_in_few_statements(instance: DagsterInstance) -> None:
    """A run for all hours of two years has 100,000 such events; stock wrote each in two transactions of its own."""
    instance._event_storage.store_event(planned("first", "0"))
    counted: list[str] = []
    storage = instance.event_log_storage
    assert isinstance(storage, storages.PooledEventLogStorage)

    def count(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        counted.append(text)

    sqlalchemy_event.listen(storage._engine, "before_cursor_execute", count)
    storage.store_event_batch([planned(table, str(hour)) for table in ("first", "second") for hour in range(250)])
    assert len(counted) < 20
    written = instance.get_records_for_run("run", limit=1000).records
    data = [record.event_log_entry.get_dagster_event().asset_materialization_planned_data for record in written]
    tables = ["first"] * 251 + ["second"] * 250
    assert [each.asset_key.path for each in data] == [[name] for name in tables]
    assert [each.partition for each in data] == ["0", *map(str, range(250)), *map(str, range(250))]
    for name in ("first", "second"):
        (record,) = instance.get_asset_records([AssetKey(name)])
        assert record.asset_entry.last_run_id == "run"
        assert len(storage.get_latest_storage_id_by_partition(AssetKey(name), PLANNED)) == 250


PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED


def planned(table: str, partition: str) -> EventLogEntry:
    """What Dagster writes of a partition of a table before it sends the run."""
    data = AssetMaterializationPlannedData(AssetKey(table), partition=partition)
    event = DagsterEvent.build_asset_materialization_planned_event("job", "step", data)
    return EventLogEntry(None, logging.DEBUG, "", "run", time.time(), "step", "job", event)


@pytest.mark.services
def test_a_forked_child_opens_its_own_connection(instance: DagsterInstance) -> None:
    storage = instance.run_storage
    assert isinstance(storage, storages.PooledRunStorage)

    def backend() -> int:
        with storage.connect() as connection:
            return connection.execute(sqlalchemy.text("select pg_backend_pid()")).scalar_one()

    mine = backend()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, str(backend()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reading, 20)) != mine
    assert backend() == mine


@pytest.mark.services
def test_a_connection_that_the_server_closed_is_replaced_unseen(instance: DagsterInstance, database: str) -> None:
    instance.get_runs(limit=1)
    query = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"
    with psycopg.connect(database) as connection:
        connection.execute(query, [pool.APPLICATION_NAME])
    assert instance.get_runs(limit=1) == []


@pytest.mark.services
def test_the_web_server_has_a_time_limit_and_one_pool(instance: DagsterInstance) -> None:
    instance.optimize_for_webserver(statement_timeout=1500, pool_recycle=60, max_overflow=3)
    run_storage, event_storage = instance.run_storage, instance.event_log_storage
    assert isinstance(run_storage, storages.PooledRunStorage)
    assert isinstance(event_storage, storages.PooledEventLogStorage)
    assert run_storage._engine is event_storage._engine
    with run_storage.connect() as connection:
        assert connection.execute(sqlalchemy.text("show statement_timeout")).scalar_one() == "1500ms"
        assert connection.execute(sqlalchemy.text("show search_path")).scalar_one() == "dagster"


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("postgresql://u:p%40ss@host/db", {"host": "host", "user": "u", "password": "p@ss"}),
        ("postgres://u@host:5433/db?sslmode=require", {"host": "host", "port": 5433, "sslmode": "require"}),
        ("postgresql://u@host/db?options=-cjit%3Doff", {"options": "-cjit=off"}),
        ("postgresql://u@one:5433,two:5434/db", {"host": "one,two", "port": "5433,5434"}),
        ("postgresql://u@one,two:5434/db?target_session_attrs=any", {"host": "one,two", "port": ",5434"}),
        ("postgresql://u@[::1]:5433,[fe80::1]/db", {"host": "::1,fe80::1", "port": "5433,"}),
        ("postgresql://u@[::1]:5433/db", {"host": "::1", "port": 5433}),
        ("postgresql:///db?host=/run/postgresql&user=u", {"host": "/run/postgresql", "user": "u"}),
    ],
)
def test_any_url_of_ours_becomes_one_of_dagster_s(given: str, there: dict[str, object]) -> None:
    url = sqlalchemy.make_url(pool.dagster_url(given).render_as_string(hide_password=False))
    _, arguments = url.get_dialect()().create_connect_args(url)
    assert arguments["dbname"] == "db"
    assert arguments["target_session_attrs"] == "read-write"
    assert {name: arguments[name] for name in there} == there


def test_a_home_is_brought_up_to_date_and_what_else_is_in_it_stays(tmp_path: Path) -> None:
    prepare_home(tmp_path / "home")
    (tmp_path / "home" / "dagster.yaml").write_text("old: yes")
    (tmp_path / "home" / "other").write_text("kept")
    prepare_home(tmp_path / "home")
    assert "PooledRunStorage" in (tmp_path / "home" / "dagster.yaml").read_text()
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["dagster.yaml", "other"]


def test_what_a_process_was_not_told_is_said_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as nothing:
        check_environment({}, code_server=True)
    assert [line.split(":")[0] for line in str(nothing.value).splitlines()] == [
        "DAGSTER_HOME",
        "MILLRACE_CODE_SERVER_HOST",
        "MILLRACE_CODE_SERVER_PORT",
    ]
    with pytest.raises(SettingsError, match=r"a folder with a dagster\.yaml"):
        check_environment({"DAGSTER_HOME": str(tmp_path)}, code_server=False)
    prepare_home(tmp_path)
    check_environment({"DAGSTER_HOME": str(tmp_path)}, code_server=False)


def test_the_packaged_workspace_points_at_one_code_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_CODE_SERVER_HOST", "code.example")
    monkeypatch.setenv("MILLRACE_CODE_SERVER_PORT", "4321")
    (origin,) = location_origins_from_yaml_paths([str(workspace_file())])
    assert isinstance(origin, GrpcServerCodeLocationOrigin)
    assert (origin.host, origin.port, origin.location_name) == ("code.example", 4321, "millrace")


def test_the_workspace_of_dagster_dev_points_at_the_definitions() -> None:
    (origin,) = location_origins_from_yaml_paths([str(REPOSITORY / "workspace.yaml")])
    assert isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
    assert origin.loadable_target_origin.module_name == "orchestration.definitions"


def test_no_secret_stands_in_a_packaged_file() -> None:
    text = (workspace_file().parent / "dagster.yaml").read_text()
    urls = [value for value in _values(yaml.safe_load(text)) if "://" in str(value)]
    assert urls == []


def _values(node: object) -> Iterator[object]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None  # pyright: ignore
    if children is None:
        yield node
        return
    for child in children:  # pyright: ignore[reportUnknownVariableType]
        yield from _values(child)
