"""Backup, wipe, restore: infra/docker/backup.sh and restore.sh against a real PostgreSQL and a real Kafka."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from infra.local import binaries
from infra.postgres.migrate import migrate
from tests.support.world import World, encoded, event, out_of_balance

SCRIPTS = Path(__file__).parents[2] / "infra" / "docker"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(world: World) -> Run:
    """One of the two scripts, as an operator without Compose calls it."""
    path = f"{binaries.postgres('psql').parent}:{os.environ['PATH']}"

    def started(script: str, *arguments: object, first: str = "") -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PATH": f"{first}:{path}", "MILLRACE_POSTGRES_URL": world.settings.postgres_url}
        command = [str(SCRIPTS / script), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return started


def backed_up(run: Run, directory: Path) -> Path:
    done = run("backup.sh", directory)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def wipe(world: World) -> None:
    """As if the disk were lost and an empty one put in its place: not even the database is there."""
    server, name = world.settings.postgres_url.rsplit("/", 1)
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def restored(run: Run, world: World, file: Path) -> None:
    done = run("restore.sh", file, "--drop-former")
    assert done.returncode == 0, done.stderr
    migrate(world.settings.postgres_url)


def counted(world: World) -> dict[str, int]:
    """What the counters tell, by outcome."""
    return dict(
        world.query(
            "select labels[1], sum(amount)::int from ops.totals where metric = 'millrace_events_total' group by 1"
        )
    )


@pytest.mark.services
def test_after_a_restore_ingest_goes_on_from_the_backup_and_every_record_is_there_once(
    world: World, run: Run, tmp_path: Path
) -> None:
    before = encoded(*(event() for _ in range(400)))
    world.produce([*before, *before[:30], b"garbage", None])
    world.ingest()
    world.refresh()
    at_backup = world.totals()
    file = backed_up(run, tmp_path)

    # Redis remembers these as seen, and Kafka's own group as read; after the restore neither may be believed.
    after = encoded(*(event() for _ in range(300)))
    world.produce([*after, *after[:20], *before[:10], b"garbage"])
    world.ingest()
    at_the_end, counters = world.totals(), counted(world)
    assert at_the_end != at_backup

    wipe(world)
    restored(run, world, file)
    assert world.totals() == at_backup
    assert not out_of_balance([v._replace(high=v.committed) for v in world.reconcile()]), (
        "only what came since is missing"
    )

    again = world.another_worker()
    world.ingest(again)
    world.refresh()
    again.close()
    assert world.totals() == at_the_end
    assert counted(world) == counters
    assert world.one("select count(*) from raw.events") == 700
    assert world.one("select sum(events)::int from analytics.events_hourly") == 700
    assert out_of_balance(world.reconcile()) == []
    assert world.one("select has_table_privilege('millrace_analyst', 'analytics.events_hourly', 'select')")


@pytest.mark.services
def test_events_and_offsets_of_a_backup_fit_together_though_ingest_never_stopped(
    world: World, run: Run, tmp_path: Path
) -> None:
    world.produce(encoded(*(event() for _ in range(6_000))))
    worker = world.another_worker(chunk_events=100)
    ingest = Thread(target=world.ingest, args=(worker,))
    ingest.start()
    while not world.one("select count(*) from ops.batches"):
        time.sleep(0.01)
    file = backed_up(run, tmp_path)
    was_running = ingest.is_alive()
    ingest.join(60)
    worker.close()
    restored(run, world, file)  # in place of a database that is there
    partly = world.one("select next_offset from ops.offsets")
    assert world.one("select count(*) from raw.events") == partly
    assert partly < 6_000 or not was_running
    again = world.another_worker()
    world.ingest(again)
    again.close()
    assert world.totals()["stored"] == 6_000
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.services
def test_a_restore_that_fails_leaves_the_database_as_it_was(world: World, run: Run, tmp_path: Path) -> None:
    world.produce(encoded(*(event() for _ in range(50))))
    world.ingest()
    whole = backed_up(run, tmp_path).read_bytes()
    torn = tmp_path / "torn.dump"
    torn.write_bytes(whole[: len(whole) // 2])
    done = run("restore.sh", torn)
    assert done.returncode != 0
    assert world.totals()["stored"] == 50
    assert out_of_balance(world.reconcile()) == []
    password = conninfo_to_dict(world.settings.postgres_url)["password"]
    assert str(password) not in done.stdout + done.stderr


@pytest.mark.services
def test_old_backups_go_only_after_a_good_one_and_the_newest_stay(world: World, run: Run, tmp_path: Path) -> None:
    old = [tmp_path / f"millrace-2020010{day}T000000Z.dump" for day in range(1, 5)]
    for file in old:
        file.touch()
        os.utime(file, (0, 0))
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "pg_dump").write_text("#!/bin/sh\necho half a backup; exit 1\n")
    (broken / "pg_dump").chmod(0o755)
    assert run("backup.sh", tmp_path, "--newest", "2", first=str(broken)).returncode != 0
    assert all(file.exists() for file in old)
    newest = Path(run("backup.sh", tmp_path, "--newest", "2").stdout.strip())
    assert sorted(tmp_path.glob("*.dump")) == [old[-1], newest]
    assert newest.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.part"))
