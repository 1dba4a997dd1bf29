"""`millrace reconcile --wait`: how long it waits, and for what it does not."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from click.testing import CliRunner, Result

from orchestration.cli.reconcile import reconcile
from resources.postgres import describe, is_refusal
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services


def ask(world: World, url: str, wait: str) -> Result:
    """The command on a test's own world."""
    own = {"MILLRACE_POSTGRES_URL": url, "MILLRACE_KAFKA_TOPICS": world.topic}
    return CliRunner().invoke(reconcile, ["--wait", wait, "--json"], env={**world.services.environment, **own})


def test_it_waits_for_a_database_that_is_on_its_way(world: World) -> None:
    world.produce(encoded(event()))
    world.ingest()
    world.services.kill("postgres")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, world, world.settings.postgres_url, "60s")
        try:
            time.sleep(1)
            assert not asked.done()
        finally:
            world.services.start("postgres")
        answer = asked.result(90)
    assert answer.exit_code == 0, answer.output


def test_it_does_not_wait_where_it_is_refused(world: World) -> None:
    answer = ask(world, world.settings.postgres_url.replace("@", "wrong@"), "10m")  # longer than a test may take
    assert answer.exit_code == 2
    assert "PostgreSQL is not used: FATAL:" in answer.output


def test_a_database_that_does_not_come_is_told_when_the_time_is_over(world: World) -> None:
    answer = ask(world, "postgresql://nobody@127.0.0.1:9/none", "2s")
    assert answer.exit_code == 2
    assert "no answer from PostgreSQL" in answer.output


@pytest.mark.parametrize(
    ("said", "told", "refused"),
    [
        ("FATAL:  the database system is starting up", "is not ready: FATAL", False),
        ("FATAL:  sorry, too many clients already", "is not ready: FATAL", False),
        ('FATAL:  password authentication failed for user "u"', "is not used: FATAL", True),
        ("server certificate for x does not match", "is not used: server certificate", True),
    ],
)
def test_what_passes_by_itself_is_no_refusal(said: str, told: str, refused: bool) -> None:
    error = psycopg.OperationalError(f'connection failed: connection to server at "h", port 5432 failed: {said}')
    assert is_refusal(error) is refused
    assert told in describe(error)
