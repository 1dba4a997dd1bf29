"""Other releases of PostgreSQL do what the embedded one does: the whole way of an event, on each that is here.

What belongs here: a representative of `make test-postgres`, which runs every test that speaks to PostgreSQL.
"""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from contract.contract import Contract
from infra.local import ports
from infra.local.children import Running
from infra.postgres.analyst_role import Analysts
from infra.postgres.migrate import migrate
from orchestration.cli.migrate import migrate as command
from tests.access.analyst import PASSWORD, ask
from tests.erasure.support import SECRET, erase, of, retain, traces
from tests.support import cluster
from tests.support.world import encoded, event, fresh_world, out_of_balance

pytestmark = pytest.mark.services


@pytest.fixture(scope="module", params=cluster.servers() or [pytest.param(0, marks=pytest.mark.skip("only one here"))])
def elsewhere(
    request: pytest.FixtureRequest, services: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The session's services, with the database on a PostgreSQL of another release."""
    directory = tmp_path_factory.mktemp(f"postgres-{request.param}")
    [port] = ports.free(1)
    service = cluster.prepared(directory / "postgres", port, cluster.servers()[request.param])
    environment = {**services.environment, "MILLRACE_POSTGRES_URL": cluster.url(port)}
    made = Running(directory, {"postgres": service}, environment)
    made.start("postgres")
    yield made
    made.stop_all()


def test_events_are_stored_once_counted_erased_and_dropped_and_every_record_is_accounted_for(
    elsewhere: Running, tmp_path: Path
) -> None:
    examples = [{**each.example(), "eventId": str(uuid.uuid4())} for each in Contract().values()]
    with fresh_world(elsewhere, tmp_path) as world:
        migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))
        world.produce([*encoded(*examples, of(SECRET, days_ago=1), examples[0], event()), b"{", None])
        world.ingest()
        world.refresh()
        assert world.totals() == {"records": 10, "stored": 7, "duplicates": 1, "dead_letters": 1, "tombstones": 1}
        assert ask(world, "select sum(events)::int from analytics.events_hourly") == [(7,)]
        erase(world)
        assert traces(world) == {}
        assert retain(world, 3).rows == len(examples)
        world.refresh()
        assert ask(world, "select count(*) from raw.events") == [(1,)]
        assert out_of_balance(world.reconcile()) == []


def test_a_release_that_is_too_old_is_refused_in_one_line_and_nothing_is_made_in_it(
    services: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.postgres.migrate.OLDEST_RELEASE", 99)
    name = f"old{uuid.uuid4().hex[:12]}"
    owner = services.environment["MILLRACE_POSTGRES_URL"]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        own = {**services.environment, "MILLRACE_POSTGRES_URL": f"{owner.rpartition('/')[0]}/{name}"}
        answer = CliRunner().invoke(command, [], env=own)
        with psycopg.connect(own["MILLRACE_POSTGRES_URL"]) as made:
            schemas = made.execute("select count(*) from pg_namespace where nspname in ('ops', 'raw')").fetchone()
        connection.execute(f"drop database {name} with (force)".encode())
    assert answer.exit_code == 1
    assert re.fullmatch(r"Error: PostgreSQL \d+ is too old: Millrace needs 99 or newer\n", answer.output)
    assert schemas == (0,)
