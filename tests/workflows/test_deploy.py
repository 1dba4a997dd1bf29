"""A deployment on the host: a new image runs when it is healthy, and otherwise the former one runs again."""

import fcntl
import stat
from pathlib import Path

import pytest

from tests.workflows.conftest import StandIns
from tests.workflows.workflows import ROOT

SCRIPT = "infra/docker/deploy.sh"
OLD, NEW = "ghcr.io/o/millrace:1.0.0", "ghcr.io/o/millrace:1.1.0"
DIGEST = "@sha256:" + "a" * 64
PULLED, MIGRATED = f"docker pull --quiet {NEW}", f"run --rm migrate [{NEW}]"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the stack's settings are, with an image that runs."""
    made = tmp_path / "stack"
    made.mkdir()
    (made / ".env").write_text(f"MILLRACE_IMAGE={OLD}\nPORT=3000\n")
    (made / ".env").chmod(0o640)
    return made


def deploy(stand_ins: StandIns, directory: Path, image: str = "1.1.0") -> int:
    """Run it, and return its exit code."""
    return stand_ins.run(SCRIPT, image, MILLRACE_DEPLOYMENT=str(directory), DEPLOY_SETTLE_SECONDS="0").returncode


def image_of(directory: Path) -> str:
    """What the next start would run."""
    [line] = [line for line in (directory / ".env").read_text().splitlines() if line.startswith("MILLRACE_IMAGE=")]
    return line.partition("=")[2]


def started(stand_ins: StandIns) -> list[str]:
    """The images that were started, in order."""
    return [call.rpartition("[")[2][:-1] for call in stand_ins.calls if " up --detach " in call]


def test_an_image_is_pulled_then_migrates_then_starts_and_is_remembered(stand_ins: StandIns, directory: Path) -> None:
    assert deploy(stand_ins, directory) == 0
    assert stand_ins.calls[0] == PULLED
    assert stand_ins.calls[1].endswith(f"--volume {directory}:/deployment {NEW} init --directory /deployment")
    assert stand_ins.calls[2].endswith(MIGRATED)
    assert f"--env-file {directory}/.env" in stand_ins.calls[2]
    assert started(stand_ins) == [NEW]
    assert stand_ins.places == {str((ROOT / SCRIPT).parent)}, "COMPOSE_FILE names files beside compose.yaml"
    assert image_of(directory) == NEW
    assert "PORT=3000" in (directory / ".env").read_text()
    assert stat.S_IMODE((directory / ".env").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (DIGEST, f"ghcr.io/o/millrace{DIGEST}"),
        ("registry:5000/x/millrace:2", "registry:5000/x/millrace:2"),
        (f"ghcr.io/p/m{DIGEST}", f"ghcr.io/p/m{DIGEST}"),
    ],
)
def test_an_image_is_a_tag_a_digest_or_a_whole_reference(
    given: str, meant: str, stand_ins: StandIns, directory: Path
) -> None:
    assert deploy(stand_ins, directory, given) == 0
    assert image_of(directory) == meant
    assert deploy(stand_ins, directory, "3.0") == 0, "a tag after a digest"
    assert image_of(directory) == meant.partition("@")[0].removesuffix(":2") + ":3.0"


@pytest.mark.parametrize("image", ["", "1.0; reboot", "$(reboot)", "-x", "a b", "ghcr.io/o/m:1\nx", "../../x:$(id)"])
def test_what_is_no_image_is_refused_and_nothing_is_touched(image: str, stand_ins: StandIns, directory: Path) -> None:
    assert deploy(stand_ins, directory, image) == 1
    assert stand_ins.calls == []


def test_an_image_that_cannot_be_pulled_changes_nothing(stand_ins: StandIns, directory: Path) -> None:
    stand_ins.fail("docker pull *")
    assert deploy(stand_ins, directory) == 1
    assert stand_ins.calls == [PULLED]


def test_settings_that_cannot_be_completed_change_nothing(stand_ins: StandIns, directory: Path) -> None:
    stand_ins.fail("docker run * init *")
    assert deploy(stand_ins, directory) == 1
    assert started(stand_ins) == []
    assert image_of(directory) == OLD


def test_a_migration_that_fails_leads_back(stand_ins: StandIns, directory: Path) -> None:
    stand_ins.fail("docker compose * run *")
    assert deploy(stand_ins, directory) == 3
    assert started(stand_ins) == [OLD]
    assert image_of(directory) == OLD


def test_an_image_that_does_not_become_healthy_leads_back(stand_ins: StandIns, directory: Path) -> None:
    stand_ins.fail(f"docker compose * up * [[]{NEW}]")
    assert deploy(stand_ins, directory) == 3
    assert started(stand_ins) == [NEW, OLD]
    assert image_of(directory) == OLD


@pytest.mark.parametrize(
    "line",
    ["daemon restarting 1 ", "webserver running 0 unhealthy", "worker-ingest exited 1 ", "daemon running 0 starting"],
)
def test_an_image_that_falls_ill_a_little_later_leads_back(line: str, stand_ins: StandIns, directory: Path) -> None:
    stand_ins.answer(f"docker compose * ps * [[]{NEW}]", f"migrate exited 0 \nkafka running 0 healthy\n{line}")
    assert deploy(stand_ins, directory) == 3
    assert started(stand_ins) == [NEW, OLD]


def test_an_image_that_dies_again_and_again_and_looks_well_in_between_leads_back(
    stand_ins: StandIns, directory: Path
) -> None:
    stand_ins.answer(f"docker compose * ps --quiet [[]{NEW}]", "c1")
    stand_ins.answer("docker inspect * c1*", "/daemon NOW")
    assert deploy(stand_ins, directory) == 3
    assert started(stand_ins) == [NEW, OLD]


def test_services_that_are_well_and_one_that_has_ended_well_are_no_reason_to_go_back(
    stand_ins: StandIns, directory: Path
) -> None:
    stand_ins.answer("docker compose * ps *", "migrate exited 0 \nkafka running 0 healthy\nproducer running 0 ")
    assert deploy(stand_ins, directory) == 0


def test_when_the_way_back_fails_too_it_says_so(stand_ins: StandIns, directory: Path) -> None:
    stand_ins.fail("docker compose * up *")
    assert deploy(stand_ins, directory) == 4
    assert image_of(directory) == OLD


def test_the_first_deployment_has_no_way_back(stand_ins: StandIns, directory: Path) -> None:
    (directory / ".env").write_text("PORT=3000\n")
    assert deploy(stand_ins, directory) == 1, "a tag of what?"
    stand_ins.fail("docker compose * up *")
    assert deploy(stand_ins, directory, NEW) == 4
    assert started(stand_ins) == [NEW]


def test_two_deployments_at_once_are_one_and_a_refusal(stand_ins: StandIns, directory: Path) -> None:
    with (directory / ".deploy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert deploy(stand_ins, directory) == 1
    assert stand_ins.calls == []
    assert deploy(stand_ins, directory) == 0


def test_an_image_without_a_registry_is_one_that_was_built_here(stand_ins: StandIns, directory: Path) -> None:
    (directory / ".env").write_text("MILLRACE_IMAGE=millrace:dev\n")
    assert deploy(stand_ins, directory, "next") == 0
    assert stand_ins.calls[0] == "docker image inspect millrace:next"
    stand_ins.fail("docker image inspect *")
    assert deploy(stand_ins, directory, "missing") == 1
    assert image_of(directory) == "millrace:next"
