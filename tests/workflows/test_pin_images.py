"""Images that we build on or start are named by their digest, and a release is not made where one is not."""

import re
import shutil
from pathlib import Path

import pytest

from tests.workflows.conftest import StandIns
from tests.workflows.workflows import ROOT, workflows

SCRIPT = "infra/docker/pin-images.sh"
FILES = ("Dockerfile", "compose.yaml")
HASH = "sha256:" + "b" * 64


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Copies of ours, without digests."""
    for name in FILES:
        text = (ROOT / "infra/docker" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", text))
    return [str(tmp_path / name) for name in FILES]


def images(file: str) -> list[str]:
    """Every image that is not built here, found in another way than the script does."""
    words = re.findall(r"[a-z0-9][a-z0-9./-]*:[A-Za-z0-9][\w.-]*(?:@sha256:[0-9a-f]{64})?", Path(file).read_text())
    known = ("apache/kafka", "postgres", "redis", "prom/", "grafana/", "nginx", "python")
    return [w for w in words if w.startswith(known) and re.search(r":v?\d{1,2}\b(?!\d)", w)]


def test_every_image_is_named_by_its_digest_once_the_digests_were_looked_up(
    stand_ins: StandIns, files: list[str]
) -> None:
    before = {file: images(file) for file in files}
    assert {name.split(":")[0] for found in before.values() for name in found} >= {
        *("apache/kafka", "grafana/grafana", "nginx", "postgres", "prom/alertmanager", "prom/prometheus"),
        *("prom/pushgateway", "python", "redis"),
    }
    stand_ins.answer("docker buildx imagetools inspect *", f'{{"digest": "{HASH}"}}')
    done = stand_ins.run(SCRIPT, *files)
    assert done.returncode == 0, done.stderr
    commands = {f"{name}@{HASH}" for name in before[files[1]]}
    assert set(images(files[1])) == commands
    assert f"\nFROM {before[files[0]][-1]}@{HASH} AS base\n" in Path(files[0]).read_text()
    assert stand_ins.run(SCRIPT, "--check", *files).returncode == 0
    text = Path(files[1]).read_text()
    assert text.replace(f"@{HASH}", "") == re.sub(
        r"@sha256:[0-9a-f]{64}", "", (ROOT / "infra/docker/compose.yaml").read_text()
    ), "nothing else was changed"


def test_digests_that_are_there_are_replaced_by_newer_ones(stand_ins: StandIns, files: list[str]) -> None:
    file = Path(files[0])
    file.write_text(
        f"ARG PYTHON_IMAGE=python:3.11-slim@sha256:{'a' * 64}\nFROM ${{PYTHON_IMAGE}} AS builder\nFROM builder\n"
    )
    stand_ins.answer("docker buildx imagetools inspect *", f'{{"digest": "{HASH}"}}')
    assert stand_ins.run(SCRIPT, str(file)).returncode == 0
    assert file.read_text().splitlines()[0] == f"ARG PYTHON_IMAGE=python:3.11-slim@{HASH}"
    assert stand_ins.calls == ["docker buildx imagetools inspect python:3.11-slim --format {{json .Manifest}}"]


def test_each_image_without_a_digest_is_named(stand_ins: StandIns, files: list[str]) -> None:
    done = stand_ins.run(SCRIPT, "--check", *files)
    assert done.returncode == 1
    assert [name for file in files for name in set(images(file)) if name not in done.stderr] == []
    assert stand_ins.calls == []


@pytest.mark.parametrize("answer", ["", "{}", '{"digest": "sha256:1"}'])
def test_a_registry_that_names_no_digest_changes_nothing(answer: str, stand_ins: StandIns, files: list[str]) -> None:
    before = Path(files[0]).read_text()
    stand_ins.answer("docker *", answer)
    assert stand_ins.run(SCRIPT, files[0]).returncode != 0
    assert Path(files[0]).read_text() == before


def test_a_release_refuses_to_be_built_on_images_without_digests() -> None:
    steps = workflows()["release.yml"]["jobs"]["image"]["steps"]
    checks = [number for number, step in enumerate(steps) if step.get("run") == f"{SCRIPT} --check"]
    builds = [number for number, step in enumerate(steps) if "build-push-action" in step.get("uses", "")]
    assert checks < builds


def test_each_image_of_an_exact_release_has_a_digest() -> None:
    found = [name for file in FILES for name in images(str(ROOT / "infra/docker" / file))]
    exact = [name for name in found if re.search(r":v?\d+\.\d+\.\d+", name)]
    assert len(exact) >= 5
    pinned = [name for name in exact if "@" in name]
    assert set(exact) - set(pinned) <= {"prom/pushgateway:v1.11.1"}, "no digest: run infra/docker/pin-images.sh"


def test_the_files_are_those_of_the_folder(stand_ins: StandIns, tmp_path: Path) -> None:
    for name in (*FILES, "pin-images.sh"):
        shutil.copy(ROOT / "infra/docker" / name, tmp_path / name)
    done = stand_ins.run(str(tmp_path / "pin-images.sh"), "--check")
    assert done.returncode in (0, 1)
    assert all(str(tmp_path) in line for line in done.stderr.splitlines())
