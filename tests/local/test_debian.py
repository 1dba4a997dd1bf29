import shutil
import socket
import subprocess
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import psutil
import pytest

from infra.local import apt, binaries, debian, monitoring
from infra.local.harness import running
from infra.local.services import LocalError

needs_apt = pytest.mark.skipif(not apt.is_there(), reason="there is no apt here")


@pytest.fixture
def silent_proxy(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A network that takes every question and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _use_proxy(monkeypatch, server.getsockname()[1])
        yield


def _use_proxy(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@needs_apt
def test_two_first_starts_at_once_fetch_once_and_both_get_programs_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, together = [], threading.Barrier(2)

    def start(_: int) -> Path:
        together.wait()
        return debian.fetch(tmp_path / "a cache", said.append)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(start, range(2))
    assert one == other
    assert said == [f"fetching Prometheus's packages (once, {debian.SIZE})"]
    assert [path for path in one.parent.iterdir() if path.is_dir()] == [one]
    for program in binaries.MONITORING:
        link = tmp_path / program
        link.symlink_to(one / "bin" / program)
        answer = subprocess.run([link, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "version" in answer.stdout + answer.stderr
    monkeypatch.setenv("MILLRACE_CACHE_DIR", str(one.parent))
    with running(tmp_path / "a stack", ["alertmanager"]):  # which is ready only when it has found its templates
        pass
    dangling = [path for path in one.rglob("*") if path.is_symlink() and not path.exists()]
    assert dangling == [], "a page of theirs lacks a script or a font"


class Archive:
    """Packages that are only names, and what each depends on."""

    def __init__(self, depends: dict[str, set[str]]) -> None:
        self.depends = depends
        self.got: list[str] = []

    def download(self, names: Iterable[str]) -> list[Path]:
        self.got += names
        return [Path(name) for name in names]

    def dependencies(self, package: Path) -> set[str]:
        return self.depends.get(package.name, set())


def test_what_a_later_debian_made_a_package_of_its_own_is_fetched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive({"prometheus": {"adduser", "libjs-jquery", "promtool"}, "libjs-jquery": {"libjs-sizzle"}})
    monkeypatch.setattr(apt, "dependencies", archive.dependencies)
    debian._download(cast("apt.Apt", archive))  # pyright: ignore[reportPrivateUsage]
    assert {*archive.got} == {*debian.PACKAGES, "libjs-jquery", "libjs-sizzle", "promtool"}


def test_a_folder_that_lacks_a_program_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "promtool").symlink_to("nowhere")
    with pytest.raises(LocalError, match="bring no alertmanager, amtool, prometheus, promtool, pushgateway"):
        debian._check(tmp_path)  # pyright: ignore[reportPrivateUsage]


@needs_apt
def test_in_a_fresh_container_that_has_no_lists_they_are_fetched_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none" / "partial").mkdir(parents=True)
    settings = tmp_path / "fresh.conf"
    settings.write_text(f'Dir::State::lists "{tmp_path}/none";\n')
    monkeypatch.setenv("APT_CONFIG", str(settings))
    folder = tmp_path / "folder"
    folder.mkdir()
    [package] = apt.Apt(folder).download(["prometheus-pushgateway"])
    apt.unpack(package, tmp_path / "unpacked")
    assert (tmp_path / "unpacked/usr/bin/prometheus-pushgateway").exists()
    assert any(name.startswith("libjs-") for name in apt.dependencies(package))
    assert not list((tmp_path / "none").glob("*Packages*")), "the system's own lists are left alone"


@needs_apt
def test_a_network_that_hangs_is_given_up_and_leaves_nothing(silent_proxy: None, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="the network hangs: nothing came from the package archive for 2 s"):
        debian.fetch(tmp_path, silence_seconds=2)
    assert [path.name for path in tmp_path.iterdir()] == [f"{debian.folder(tmp_path).name}.lock"]
    assert not [child for child in psutil.Process().children(recursive=True) if "apt" in child.name()]


@needs_apt
def test_without_a_network_one_line_says_why_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    _use_proxy(monkeypatch, port)  # nobody listens there any more
    _hide_the_programs(tmp_path, monkeypatch, "apt-get", "dpkg-deb", "dpkg", "sh")
    with pytest.raises(LocalError, match=r"^[^\n]*127\.0\.0\.1[^\n]*https://prometheus\.io/download[^\n]*$"):
        monitoring.fetch()


def test_where_there_is_no_apt_one_line_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_the_programs(tmp_path, monkeypatch)
    with pytest.raises(LocalError, match=r"^pushgateway is missing; [^\n]*https://prometheus\.io/download[^\n]*$"):
        monitoring.fetch()
    with pytest.raises(LocalError, match="there is no apt-get here"):
        debian.fetch(tmp_path)
    assert monitoring.problem().startswith("pushgateway is missing")


def test_programs_on_the_path_serve_under_their_own_name_and_under_debians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hide_the_programs(tmp_path, monkeypatch)
    for name in ("prometheus-pushgateway", "prometheus", "alertmanager", "promtool", "amtool"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monitoring.fetch()
    assert binaries.monitoring("pushgateway") == tmp_path / "bin" / "prometheus-pushgateway"
    assert binaries.monitoring("alertmanager") == tmp_path / "bin" / "alertmanager"


def _hide_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *left: str) -> None:
    """A PATH and a cache without them, and with nothing else but what is named."""
    (tmp_path / "bin").mkdir()
    for name in left:
        found = shutil.which(name)
        assert found
        (tmp_path / "bin" / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("MILLRACE_CACHE_DIR", str(tmp_path / "cache"))
