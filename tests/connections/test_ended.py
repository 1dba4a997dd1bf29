"""A session that the server ended, or whose server takes no writes any more, costs a new session and no run."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import dagster as dg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import exc

from assets.ingest import asset
from assets.ingest.plan import PlanLimits
from infra.local import ports
from infra.postgres.migrate import migrate
from monitoring.metrics.database import MetricsDatabase
from orchestration.cli.doctor import database as doctor
from orchestration.dagster_runtime.pool import dagster_url, shared_engine
from orchestration.jobs import INGEST_JOB, REFRESH_JOB
from orchestration.settings import load
from resources.postgres import Postgres, WarmConnection, describe
from sensors.dirty_buckets import DirtyBuckets
from sensors.kafka_offsets import KafkaOffsets
from sensors.run_failures import RunFailures
from tests.support.world import LOG, World, encoded, event, out_of_balance

pytestmark = pytest.mark.services

_OTHERS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


def end_sessions(world: World) -> int:
    """As the server does with idle ones, a pooler, a restart; how many."""
    [(ended,)] = world.query(f"select count(*) filter (where pg_terminate_backend(pid, 10000)) {_OTHERS}")
    return int(ended)


def sessions(world: World) -> set[int]:
    """The processes of the server that serve others."""
    return {int(pid) for (pid,) in world.query(f"select pid {_OTHERS}")}


def make_read_only(connection: psycopg.Connection[Any]) -> None:
    """As if the session had been opened while the server took no writes."""
    connection.execute("set default_transaction_read_only = on")


@pytest.fixture
def users(world: World) -> dict[str, Callable[[], object]]:
    """Everybody who keeps a connection, with one use of it."""
    buckets = DirtyBuckets(world.worker.postgres, timedelta(seconds=30), timedelta(seconds=30), REFRESH_JOB)
    offsets = KafkaOffsets(
        world.worker.kafka,
        world.worker.postgres,
        (world.topic,),
        PlanLimits(1, 1000),
        timedelta(seconds=30),
        INGEST_JOB,
    )
    metrics, failures = MetricsDatabase(world.worker.postgres), RunFailures(world.worker.postgres)
    instance = dg.DagsterInstance.ephemeral()

    def asked() -> object:
        with metrics.asking() as connection:
            return connection.execute("select 1").fetchone()

    return {
        "ingest": lambda: world.produce(encoded(event(), event())) and world.ingest(),
        "report": lambda: asset.run_summary(world.worker, "run-1", LOG)["stored"],
        "dirty buckets": buckets.waiting,
        "run failures": lambda: failures.tick(lambda: LOG),
        "offsets": lambda: offsets.evaluate(lambda: instance),
        "metrics": asked,
        "marks": world.aggregates.pending,
        "refresh": world.refresh,
    }


def test_sessions_that_ended_between_two_uses_are_replaced_unseen(
    world: World, users: dict[str, Callable[[], object]], caplog: pytest.LogCaptureFixture
) -> None:
    for use in users.values():
        use()
    before = sessions(world)
    for use in users.values():
        use()
    assert sessions(world) == before, "each is kept, none is opened for one use"
    with caplog.at_level(logging.WARNING):
        for use in users.values():
            assert end_sessions(world) > 0
            use()
    assert [record.getMessage() for record in caplog.records] == []
    assert world.totals()["stored"] == 6
    assert out_of_balance(world.reconcile()) == []


def test_what_only_reads_is_asked_once_more_when_the_session_ends_meanwhile(world: World) -> None:
    warm, asked = WarmConnection(world.worker.postgres, "test"), list[int]()

    def ask(connection: psycopg.Connection[Any]) -> int:
        asked.append(connection.info.backend_pid)
        if len(asked) == 1:
            world.query("select pg_terminate_backend(%s, 10000)", asked[0])
        return connection.execute("select 7").fetchall()[0][0]

    warm.connection()
    assert warm.read(ask) == 7
    assert len(set(asked)) == 2
    warm.close()


def test_what_is_wrong_with_the_question_is_not_asked_again(world: World) -> None:
    warm, asked = WarmConnection(world.worker.postgres, "test"), list[int]()

    def ask(connection: psycopg.Connection[Any]) -> object:
        asked.append(1)
        return connection.execute("select nothing_like_that")

    warm.connection()
    with pytest.raises(psycopg.errors.UndefinedColumn):
        warm.read(ask)
    assert len(asked) == 1
    warm.close()


def test_a_run_that_is_committed_and_whose_figures_cannot_be_read_is_no_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asset, "_REPORT_SECONDS", 0.0)
    worker = world.another_worker()
    worker.postgres = replace(worker.postgres, url=f"postgresql://nobody@127.0.0.1:{ports.free(1)[0]}/none")
    assert asset.run_summary(worker, "run-1", LOG) == {}


def test_a_writer_s_session_with_a_server_that_takes_no_writes_is_dropped(world: World) -> None:
    world.produce(encoded(event(), event()))
    make_read_only(world.worker.database.connection())
    with world.aggregates.alone() as kept:
        make_read_only(kept)
    world.ingest()
    world.refresh()
    assert world.totals()["stored"] == 2
    assert world.one("select sum(events)::int from analytics.events_hourly") == 2


def test_dagster_s_pool_drops_it_too(world: World) -> None:
    engine = shared_engine(dagster_url(world.settings.postgres_url))
    write = sqlalchemy.text("create temporary sequence of_a_test")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("set default_transaction_read_only = on"))
        with pytest.raises(exc.InternalError, match="read-only") as refused:
            connection.execute(sqlalchemy.text("create schema dagster_of_a_test"))
    assert refused.value.connection_invalidated
    with engine.connect() as connection:
        connection.execute(write)


def test_while_the_server_takes_no_writes_no_session_is_opened_and_then_all_goes_on(world: World) -> None:
    [(name,)] = world.query("select current_database()")
    world.produce(encoded(event()))
    world.query(f"alter database {name} set default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError) as ours:
        world.worker.postgres.connect("test")
    assert describe(ours.value) == "OperationalError: PostgreSQL is not ready: session is read-only"
    with pytest.raises(exc.OperationalError, match="read-only"):
        shared_engine(dagster_url(world.settings.postgres_url)).connect()
    found = doctor.database(world.settings.postgres_url)
    assert (found.level, found.text) == ("FAIL", "OperationalError: PostgreSQL is not ready: session is read-only")
    plain = "begin read write; alter database {} reset default_transaction_read_only; commit"
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as connection:
        connection.execute(plain.format(name).encode())
    world.ingest()
    world.refresh()
    shared_engine(dagster_url(world.settings.postgres_url)).connect().close()
    assert doctor.database(world.settings.postgres_url).level == "OK"
    assert world.totals()["stored"] == 1


def test_a_url_with_several_hosts_finds_the_one_that_answers_everywhere(world: World) -> None:
    url = world.settings.postgres_url.replace("@127.0.0.1:", f"@127.0.0.1:{ports.free(1)[0]},127.0.0.1:", 1)
    assert url != world.settings.postgres_url
    environment = {**world.services.environment, "MILLRACE_POSTGRES_URL": url, "MILLRACE_MIGRATE_POSTGRES_URL": url}
    settings = load(environment)
    assert settings.postgres_url == url
    migrate(settings.postgres_url)
    Postgres(settings.postgres_url).connect("test").close()
    with shared_engine(dagster_url(settings.postgres_url)).connect() as connection:
        assert connection.execute(sqlalchemy.text("show search_path")).scalar_one() == "dagster"
    assert cast("str", world.one("select current_database()")) in url
