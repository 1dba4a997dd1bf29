"""How the analysts' password gets from a setting to a login, and from the embedded stack to `millrace env`."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from psycopg import conninfo

from infra.local.harness import Running
from infra.postgres.analyst_role import ROLE
from orchestration.cli import programs
from orchestration.settings import load
from tests.access.analyst import PASSWORD
from tests.support.world import World

PASSWORDS = ("MILLRACE_ANALYST_PASSWORD", "MILLRACE_ANALYST_URL")
PORTS = {"postgres": 5433, "code-server": 4266, "webserver": 3000}
GOOD = {
    "MILLRACE_POSTGRES_URL": "postgresql://me@localhost/db",
    "MILLRACE_REDIS_URL": "redis://localhost",
    "MILLRACE_BROKER_URL": "redis://localhost",
    "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
}


def test_the_stack_makes_a_password_once_and_a_url_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLRACE_ANALYST_PASSWORD", raising=False)
    made = programs.application().environment(tmp_path, PORTS)
    again = programs.application().environment(tmp_path, PORTS)
    assert [again[name] for name in PASSWORDS] == [made[name] for name in PASSWORDS]
    parts = conninfo.conninfo_to_dict(made["MILLRACE_ANALYST_URL"])
    assert (parts["user"], parts["password"], parts["port"]) == (ROLE, made["MILLRACE_ANALYST_PASSWORD"], "5433")
    [kept] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept.stat().st_mode & 0o077 == 0


def test_a_password_that_the_caller_has_set_is_taken_and_fits_into_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_ANALYST_PASSWORD", PASSWORD)
    made = programs.application().environment(tmp_path, PORTS)
    assert conninfo.conninfo_to_dict(made["MILLRACE_ANALYST_URL"])["password"] == PASSWORD
    assert sqlalchemy.make_url(made["MILLRACE_ANALYST_URL"]).password == PASSWORD


def test_the_settings_do_not_show_the_password() -> None:
    assert PASSWORD not in repr(load({**GOOD, "MILLRACE_ANALYST_PASSWORD": PASSWORD}))


@pytest.mark.services
def test_migrate_turns_the_login_on_with_the_password_of_the_setting(open_world: World, services: Running) -> None:
    url = open_world.settings.postgres_url
    own = {**services.environment, "MILLRACE_POSTGRES_URL": url, "MILLRACE_ANALYST_STATEMENT_TIMEOUT": "7s"}
    command = [sys.executable, "-m", "orchestration.cli", "migrate"]
    done = subprocess.run(
        command,
        env={**os.environ, **own, "MILLRACE_ANALYST_PASSWORD": "another one"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "another one" not in done.stdout + done.stderr
    with psycopg.connect(url, user=ROLE, password="another one") as session:
        assert session.execute("show statement_timeout").fetchone() == ("7s",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, user=ROLE, password=PASSWORD)
