"""The doctor tries to write where the processes will have to, as they do, and leaves nothing behind."""

from pathlib import Path

import psycopg
import pytest

from infra.local import files
from infra.local.preflight import Finding
from infra.postgres.migrate import migrate
from infra.postgres.service_role import service_of
from orchestration.cli.doctor.writing import examine
from tests.support.world import World

pytestmark = pytest.mark.services


def found(world: World, **changes: object) -> dict[str, Finding]:
    return {f.name: f for f in examine(world.settings.model_copy(update=changes), {})}


def test_the_role_of_the_processes_may_write_wherever_it_has_to_and_nothing_is_left(world: World) -> None:
    owner = world.settings.postgres_url
    service = owner.replace("//millrace:", "//millrace_writer:")
    try:
        migrate(owner, service=service_of(service, owner))
        said = found(world, postgres_url=service)
        assert {name: f.level for name, f in said.items()} == {
            "tables": "OK",
            "redis (claims)": "OK",
            "redis (broker)": "OK",
        }, said
        assert world.one("select to_regclass('raw.millrace_doctor')") is None
        world.query("revoke insert on ops.batches, analytics.sessions from millrace_writer")
        refused = found(world, postgres_url=service)["tables"]
        assert refused.level == "FAIL"
        assert "ops.batches: " in refused.text
        assert "millrace migrate" in refused.advice
    finally:
        world.query("reassign owned by millrace_writer to millrace; drop owned by millrace_writer")
        world.query("drop role millrace_writer")


def test_a_table_that_is_missing_and_a_server_that_does_not_answer_fail(world: World) -> None:
    world.query("drop table ops.gaps")
    said = found(world, redis_url="redis://127.0.0.1:1")
    assert "gaps" in said["tables"].text
    assert (said["redis (claims)"].level, said["redis (broker)"].level) == ("FAIL", "OK")


def test_a_database_that_takes_no_writes_fails(world: World) -> None:
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as connection:
        connection.execute(f"alter database {connection.info.dbname} set default_transaction_read_only = on".encode())
    assert found(world)["tables"].level == "FAIL"


def test_a_folder_that_takes_no_file_is_told_with_the_reason() -> None:
    assert files.refusal(Path("/proc/millrace")).startswith("/proc/millrace cannot be written to")
