"""A deployment of the previous commit's image becomes one of this image, with a migration, while events keep coming."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from tests.containers.stack import IMAGE, ROOT, Stack, docker, image, require_engine, stack

pytestmark = pytest.mark.containers

PREVIOUS, NEXT, BROKEN = "millrace-test:previous", "millrace-test:next", "millrace-test:broken"
_VERSIONS = Path("millrace") / "infra" / "postgres" / "migrations"
_MIGRATION = """
from alembic import op

revision, down_revision, branch_labels, depends_on = "upgraded", "{head}", None, None


def upgrade() -> None:
    op.execute("alter table raw.events add column upgraded boolean default true")
"""


def build(directory: Path, tag: str, dockerfile: str) -> None:
    """An image on top of the one under test."""
    (directory / "Dockerfile").write_text(f"FROM {IMAGE}\n{dockerfile}\n")
    docker("build", "--quiet", "--tag", tag, str(directory))


def migrating(directory: Path) -> None:
    """This image with one more migration."""
    image()
    (directory / "upgraded.py").write_text(_MIGRATION.format(head=ScriptDirectory(ROOT / _VERSIONS).get_current_head()))
    place = docker("run", "--rm", "--entrypoint", "python", IMAGE, "-c", "import millrace; print(millrace.__path__[0])")
    build(directory, NEXT, f"COPY upgraded.py {Path(place.strip()).parent / _VERSIONS / 'versions'}/")


def previous(directory: Path) -> Path:
    """The image of the previous commit; its checkout."""
    archive = subprocess.run(("git", "archive", "HEAD^"), cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip("there is no previous commit here: a shallow clone")
    subprocess.run(("tar", "-x", "-C", str(directory)), input=archive.stdout, check=True)
    docker("build", "--quiet", "--tag", PREVIOUS, "--file", str(directory / "infra/docker/Dockerfile"), str(directory))
    return directory


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What the previous commit's own init and Compose file made of its own image."""
    require_engine()
    before = previous(tmp_path_factory.mktemp("previous"))
    migrating(tmp_path_factory.mktemp("next"))
    settings = {"COMPOSE_PROFILES": "core", "MILLRACE_PUSHGATEWAY_URL": "", "GRAFANA_PROFILE": "none"}
    with stack(tmp_path_factory.mktemp("deployment"), PREVIOUS, **settings) as made:
        former = Stack(made.directory, made.name, before / "infra" / "docker" / "compose.yaml")
        former.up()
        yield made


def running_images(deployed: Stack) -> set[str]:
    """The images of Millrace's containers."""
    found = (str(each["Config"]["Image"]) for each in deployed.containers().values())
    return {name for name in found if name.startswith("millrace-test:")}


def test_an_upgrade_with_a_migration_loses_nothing_while_events_keep_coming(deployed: Stack) -> None:
    deployed.produce("--count", "2000", "--fast")
    with deployed.traffic("--duration", "90s", "--rate", "300", "--duplicates", "0.02", "--late", "0.02") as sent:
        time.sleep(5)
        deployed.run("deploy.sh", "next")
    deployed.reconcile("180s")
    assert running_images(deployed) == {NEXT}
    assert f"MILLRACE_IMAGE={NEXT}\n" in (deployed.directory / ".env").read_text()
    assert deployed.query("select sum(records) from ops.batches") == [str(sent["acknowledged"] + 2_000)]
    assert deployed.query("select bool_and(upgraded) from raw.events") == ["t"]
    stuck = "status in ('STARTED', 'CANCELING') and update_timestamp < now() - interval '1 minute'"
    assert deployed.query(f"select status, pipeline_name from dagster.runs where {stuck}") == []


def test_an_image_that_does_not_start_is_taken_back_and_nothing_is_lost(deployed: Stack, tmp_path: Path) -> None:
    # It passes its migration and fails as a daemon, which is how a release is broken that nobody ran.
    script = '#!/bin/sh\ncase $1 in daemon) exit 1;; esac\nexec /opt/millrace/bin/millrace "$@"\n'
    (tmp_path / "broken").write_text(script)
    entry = 'COPY --chmod=755 broken /usr/local/bin/broken\nENTRYPOINT ["broken"]'
    build(tmp_path, BROKEN, entry)
    with deployed.traffic("--duration", "60s", "--rate", "200"):
        deployed.run("deploy.sh", "broken", code=3, DEPLOY_HEALTH_SECONDS="90")
    assert running_images(deployed) == {NEXT}
    assert f"MILLRACE_IMAGE={NEXT}\n" in (deployed.directory / ".env").read_text()
    deployed.reconcile("180s")
