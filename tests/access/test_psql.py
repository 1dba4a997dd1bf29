"""`millrace psql`: which database, as whom, and that nobody sees the password in the list of processes."""

import os
import subprocess
import sys

import pytest
from psycopg.conninfo import make_conninfo

from infra.postgres.analyst_role import ROLE
from tests.access.analyst import PASSWORD
from tests.support.world import World

_WHO = "select current_user, count(*) > 0 from raw.events"


def psql(world: World, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MILLRACE_", "PG"))}
    environment |= {"MILLRACE_POSTGRES_URL": world.settings.postgres_url, **more}
    command = [sys.executable, "-m", "orchestration.cli", "psql", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.services
def test_an_analyst_reads_as_the_analysts_role_and_arguments_are_passed_on(open_world: World) -> None:
    address = make_conninfo(open_world.settings.postgres_url, user=ROLE, password=PASSWORD)
    given = {"MILLRACE_ANALYST_URL": address}
    assert psql(open_world, "--analyst", "-qAtc", _WHO, **given).stdout == f"{ROLE}|t\n"
    refused = psql(open_world, "--analyst", "-c", "select * from ops.offsets", **given)
    assert refused.returncode == 1
    assert "permission denied" in refused.stderr
    csv = psql(open_world, "--analyst", "--csv", "-v", "n=7", "-f", "-", **given)
    assert csv.returncode == 0


@pytest.mark.services
def test_the_password_that_migrate_was_given_is_enough_for_an_analyst(open_world: World) -> None:
    assert psql(open_world, "--analyst", "-qAtc", _WHO, MILLRACE_ANALYST_PASSWORD=PASSWORD).stdout == f"{ROLE}|t\n"
    without = psql(open_world, "--analyst", "-qAtc", _WHO)
    assert without.returncode == 2
    assert "MILLRACE_ANALYST_URL: is not set, nor is MILLRACE_ANALYST_PASSWORD" in without.stderr


@pytest.mark.services
def test_the_owner_is_the_one_of_the_settings_and_no_argument_holds_a_password(open_world: World) -> None:
    shown = psql(open_world, "-qAtc", r"\! tr '\0' ' ' < /proc/$PPID/cmdline")
    assert "--dbname=" in shown.stdout
    assert open_world.settings.postgres_url.partition("//")[2].partition(":")[2].partition("@")[0] not in shown.stdout
    assert "password" not in shown.stdout
    assert psql(open_world, "-qAtc", "select current_user").stdout == "millrace\n"


@pytest.mark.services
def test_a_stack_that_is_named_and_not_up_is_said(open_world: World) -> None:
    answer = psql(open_world, "--data-dir", "/nowhere", "-qAtc", "select 1")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "no stack is up in /nowhere; start one: " in answer.stderr
    assert "millrace up --data-dir /nowhere --detach" in answer.stderr
