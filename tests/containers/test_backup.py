"""A backup is taken while events come, the database is wiped, the backup is restored: Kafka brings what came since."""

from pathlib import Path

import pytest

from tests.containers.stack import Stack, docker

pytestmark = pytest.mark.containers

HELD = """
select (select count(*) from raw.events), (select count(*) from raw.dead_letters), sum(records) from ops.batches
"""


def test_a_wiped_database_is_restored_and_catches_up_with_kafka(running: Stack, tmp_path: Path) -> None:
    running.produce("--count", "4000", "--rate", "2000", "--duplicates", "0.02")
    with running.traffic("--duration", "15s", "--rate", "400", "--invalid", "0.01"):
        file = running.run("backup.sh", str(tmp_path / "backups")).strip()
    running.produce("--count", "3000", "--fast")
    running.reconcile()
    before = running.query(HELD)

    running.compose("stop")
    running.compose("rm", "--force", "postgres")
    docker("volume", "rm", f"{running.name}_postgres")
    running.compose("up", "--detach", "--wait", "postgres")
    running.run("restore.sh", file)
    running.up()
    running.reconcile("180s")
    assert running.query(HELD) == before
