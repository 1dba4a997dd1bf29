"""Dagster's run, event-log and schedule storage on the process's pool.

What belongs here: in what ours differ from dagster-postgres's. What does not: the pool itself (`pool`), and Millrace's
own tables.

Stock opens a connection for every operation: 69 a run, 8 ms each. It also asks the catalogue, six times a run and at
every look at the sensors, whether columns exist that were added years ago; a yes is remembered here. Dagster's tables
live in a schema of their own, so they never meet Millrace's, nor does Dagster's `alembic_version` meet ours.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy
from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import create_pg_connection, pg_url_from_config
from sqlalchemy.engine import URL, Engine, make_url

from orchestration.dagster_runtime.pool import SCHEMA, dagster_url, shared_engine
from resources import locks

# Any number that nobody else locks: processes that start together make the tables one after the other.
_PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED

_with_tables: set[tuple[type, str]] = set()
_said_yes: set[tuple[object, ...]] = set()
_making_tables = threading.Lock()


class _Pooled:
    """What the three storages share; stands before the stock class among the bases."""

    _stock: ClassVar[type]
    _engine: Engine
    postgres_url: str

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        url = dagster_url(postgres_url)
        if should_autocreate_tables:
            _make_tables_once(self._stock, url)
        stock_init: Any = super().__init__
        stock_init(url.render_as_string(hide_password=False), should_autocreate_tables=False, inst_data=inst_data)
        self._engine = shared_engine(url)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Any:
        """Stock names its own class here, so a subclass that does not override it is never made."""
        return cls(pg_url_from_config(config_value), config_value.get("should_autocreate_tables", True), inst_data)

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Stock makes an engine for each storage here; ours stays one, with the web server's statement time-out."""
        self._engine = shared_engine(
            make_url(self.postgres_url),
            pool_recycle=pool_recycle,
            max_overflow=max_overflow,
            statement_timeout=f"{statement_timeout}ms",
        )


def _make_tables_once(stock: type, url: URL) -> None:
    """Let the stock class make its tables, the first time in this process, one process at a time."""
    with _making_tables:
        key = (stock, url.render_as_string(hide_password=False))
        if key in _with_tables:
            return
        with create_pg_connection(shared_engine(url)) as connection:
            connection.execute(sqlalchemy.text(f"select pg_advisory_lock({locks.DAGSTER_TABLES})"))
            try:
                # Asked first: a role may lack the right to create schemas where an owner has made this one.
                if not sqlalchemy.inspect(connection).has_schema(SCHEMA):
                    connection.execute(sqlalchemy.schema.CreateSchema(SCHEMA))
                stock(key[1])
            finally:
                connection.execute(sqlalchemy.text(f"select pg_advisory_unlock({locks.DAGSTER_TABLES})"))
        _with_tables.add(key)


def _remember_yes(name: str) -> Callable[..., bool]:
    """A method that asks the stock one of that name until it says yes; names are arguments, connections are not."""

    def ask(self: Any, *arguments: Any) -> bool:
        question = (self.postgres_url, type(self), name, *(word for word in arguments if isinstance(word, str)))
        if question not in _said_yes and getattr(self._stock, name)(self, *arguments):
            _said_yes.add(question)
        return question in _said_yes

    return ask


class PooledRunStorage(_Pooled, PostgresRunStorage):
    """Runs, on the process's pool."""

    _stock = PostgresRunStorage
    has_run_stats_index_cols = _remember_yes("has_run_stats_index_cols")
    has_bulk_actions_selector_cols = _remember_yes("has_bulk_actions_selector_cols")
    has_backfill_id_column = _remember_yes("has_backfill_id_column")
    has_bulk_action_job_name_column = _remember_yes("has_bulk_action_job_name_column")
    has_backfill_tags_table = _remember_yes("has_backfill_tags_table")
    has_built_index = _remember_yes("has_built_index")


class PooledEventLogStorage(_Pooled, PostgresEventLogStorage):
    """Events, on the process's pool."""

    _stock = PostgresEventLogStorage
    has_asset_key_col = _remember_yes("has_asset_key_col")
    has_secondary_index = _remember_yes("has_secondary_index")
    _has_asset_key_col_on_connection = _remember_yes("_has_asset_key_col_on_connection")

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Stock writes what a run is going to make in two transactions a partition and table, batch or not.

        A run for six hourly tables over two years has 100,000 of them: it took more than ten minutes to be made.
        """
        planned = [event for event in events if event.dagster_event_type == _PLANNED]
        if planned:
            self._store_planned(planned)
        if others := [event for event in events if event.dagster_event_type != _PLANNED]:
            super().store_event_batch(others)

    def _store_planned(self, events: Sequence[EventLogEntry]) -> None:
        """One statement for all events, and one for each table: its row says which run was the last."""
        number = SqlEventLogStorageTable.c.id
        insert = SqlEventLogStorageTable.insert().returning(number, sort_by_parameter_order=True)
        with self._connect() as connection:
            ids = [int(row[0]) for row in connection.execute(insert, [self._event_to_row(event) for event in events])]
        last = {event.get_dagster_event().asset_key: (event, number) for event, number in zip(events, ids, strict=True)}
        for event, number in last.values():
            self.store_asset_event(event, number)


class PooledScheduleStorage(_Pooled, PostgresScheduleStorage):
    """Ticks and sensor states, on the process's pool."""

    _stock = PostgresScheduleStorage
    has_secondary_index_table = _remember_yes("has_secondary_index_table")
    has_built_index = _remember_yes("has_built_index")
    has_instigators_table = _remember_yes("has_instigators_table")
    _has_instigators_table = _remember_yes("_has_instigators_table")
    _has_asset_daemon_asset_evaluations_table = _remember_yes("_has_asset_daemon_asset_evaluations_table")
