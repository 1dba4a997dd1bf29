"""PostgreSQL's own log quotes no personal data, in the embedded stack, in Compose and on RDS: their settings are one.

The settings of Compose and of RDS are put on the embedded server here, and errors are provoked.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from infra.local import postgres, supervisor
from infra.local.harness import Running, running
from infra.postgres.analyst_role import ROLE, Analysts
from infra.postgres.migrate import migrate
from tests.access.analyst import PASSWORD
from tests.aws.template import EVERYTHING, Made
from tests.support.cluster import SHARED

ROOT = Path(__file__).parents[2]
AGREED = SHARED  # none is left to a default that a release may change
PERSON = "ann.example@mail.test"


def embedded(directory: Path) -> dict[str, str]:
    postgres.prepare(directory)
    lines = (directory / "data" / "millrace.conf").read_text().splitlines()
    return {n.strip(): v.strip() for n, _, v in (line.partition("=") for line in lines if not line.startswith("#"))}


def compose() -> dict[str, str]:
    return dict(re.findall(r"-c ?(\w+)=(\S+)", " ".join(container()["command"])))


def container() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "infra" / "docker" / "compose.yaml").read_text())["services"]["postgres"]


def rds() -> dict[str, str]:
    [group] = Made(EVERYTHING).of("AWS::RDS::DBParameterGroup").values()
    return {name: str(value) for name, value in group["Parameters"].items()}


def agreed(settings: dict[str, str]) -> dict[str, str | None]:
    return {name: settings.get(name) for name in AGREED}


def test_compose_and_rds_have_the_settings_of_the_embedded_server(tmp_path: Path) -> None:
    assert agreed(compose()) == AGREED
    assert agreed(rds()) == AGREED
    assert agreed(embedded(tmp_path / "postgres")) == AGREED


def test_nothing_that_one_of_the_three_says_about_the_log_is_missing_in_another() -> None:
    said = [{n for n in each if n.startswith("log_")} for each in (compose(), rds())]
    assert said == [{n for n in AGREED if n.startswith("log_")}] * 2


def test_the_embedded_servers_log_is_rotated_and_so_is_that_of_the_container(tmp_path: Path) -> None:
    postgres.prepare(tmp_path / "postgres")
    text = supervisor.configuration(tmp_path, [postgres.service(tmp_path / "postgres", 1)])
    assert re.search(r"stdout_logfile_maxbytes = \d+MB\nstdout_logfile_backups = \d\n", text)
    assert {"max-size", "max-file"} <= set(container()["logging"]["options"])


@pytest.fixture(params=["embedded", "compose", "rds"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A server with the settings of one of the three."""
    with running(tmp_path, ("postgres",)) as services:
        conf = services.directory / "postgres" / "data" / "millrace.conf"
        assert agreed(embedded(services.directory / "postgres")) == AGREED
        if request.param != "embedded":
            theirs = compose() if request.param == "compose" else rds()
            kept = [line for line in conf.read_text().splitlines() if line.split(" ")[0] not in AGREED]
            said = [f"{name} = {value}" for name, value in theirs.items() if name in AGREED]
            services.stop("postgres")
            conf.write_text("\n".join([*kept, *said, ""]))
            services.start("postgres")
        yield services


ERRORS = (
    f"insert into people values ('{PERSON}', 1)",
    f"insert into people values ('{PERSON}', 1), ('{PERSON}', 2)",
    f"select '{PERSON}'::int",
    "select email::int from people",
    "select email::uuid, email::inet from people",
    "select email::jsonb from people",
    f'select * from "{PERSON}"',
    f"select 1 as {PERSON}",
    f"do $$ begin raise exception '%', '{PERSON}'; end $$",
    f"do $$ begin raise warning '%', '{PERSON}'; end $$",
    "update people set age = age / 0",
    "alter table people add check (email not like '%mail%')",
    "copy people from stdin",
    f"select '{PERSON}', pg_sleep(5)",
)


@pytest.mark.services
def test_no_error_of_a_statement_is_quoted_in_the_servers_log(server: Running) -> None:
    url = server.environment["MILLRACE_POSTGRES_URL"]
    with psycopg.connect(url, autocommit=True, options="-c statement_timeout=2s") as session:
        session.execute("create table people (email text primary key, age int check (age > 0))")
        session.execute("insert into people values (%s, 3)", (PERSON,))
        for text in ERRORS:
            provoke(session, text)
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            session.execute("select %s::text::int", (PERSON,))
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), psycopg.connect(url) as session:
        session.execute(f"set application_name = 'the end'; select '{PERSON}'::int")
    log = server.log("postgres").read_text()
    assert "ready to accept connections" in log  # this is its log
    assert PERSON not in log
    assert "ann.example" not in log


def provoke(session: psycopg.Connection[tuple[Any, ...]], text: str) -> None:
    try:
        if text.startswith("copy"):
            with session.cursor().copy(text.encode()) as rows:
                rows.write(f"new\t1\n{PERSON}\tmany\n")
        else:
            session.execute(text.encode())
    except psycopg.Error:
        pass


@pytest.mark.services
def test_an_analyst_writes_no_line_into_the_servers_log_by_any_setting(server: Running) -> None:
    url = server.environment["MILLRACE_POSTGRES_URL"]
    migrate(url, analysts=Analysts(PASSWORD))
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("grant usage on language plpgsql to public")  # as where the owner is no superuser
    before = server.log("postgres").stat().st_size
    with psycopg.connect(url, user=ROLE, password=PASSWORD, autocommit=True) as session:
        for name in ("debug_print_plan", "debug_print_parse", "debug_print_rewritten", "trace_sort"):
            session.execute(f"set {name} = on".encode())
        session.execute("set client_min_messages = log")
        for text in (*ERRORS[2:9], "do $$ begin raise log 'ann.example'; end $$", "select 'ann.example' order by 1"):
            provoke(session, text)
    assert "ann.example" not in server.log("postgres").read_text()[before:]
