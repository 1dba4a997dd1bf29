"""A database that cannot hold every text is refused before anything is made in it."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from click.testing import CliRunner

from infra.local.harness import Running
from orchestration.cli.doctor import database as doctor
from orchestration.cli.migrate import migrate as command

pytestmark = pytest.mark.services


@pytest.fixture(params=["LATIN1", "SQL_ASCII", "EUC_JP"])
def database(request: pytest.FixtureRequest, services: Running) -> Iterator[tuple[str, str]]:
    """Its URL and its encoding."""
    owner, name = services.environment["MILLRACE_POSTGRES_URL"], f"enc{uuid.uuid4().hex[:12]}"
    with psycopg.connect(owner, autocommit=True) as connection:
        made = f"create database {name} encoding '{request.param}' locale_provider 'libc' locale 'C' template template0"
        connection.execute(made.encode())
        yield f"{owner.rpartition('/')[0]}/{name}", request.param
        connection.execute(f"drop database {name} with (force)".encode())


def test_migrate_refuses_it_in_one_line(services: Running, database: tuple[str, str]) -> None:
    url, encoding = database
    answer = CliRunner().invoke(command, [], env={**services.environment, "MILLRACE_POSTGRES_URL": url})
    assert answer.exit_code == 1
    assert answer.output == (
        f"Error: the database's encoding is {encoding}, and Millrace needs UTF8: "
        "create database NAME encoding 'UTF8' template template0\n"
    )
    with psycopg.connect(url) as made:
        assert made.execute("select count(*) from pg_namespace where nspname in ('ops', 'raw')").fetchone() == (0,)


def test_the_doctor_refuses_it_too(database: tuple[str, str]) -> None:
    url, encoding = database
    found = doctor.database(url)
    assert (found.level, found.text) == ("FAIL", f"its encoding is {encoding}, not UTF8")
