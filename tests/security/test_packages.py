"""What a fresh machine lacks is unpacked from its distribution's packages, once; or one line says why it is not."""

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local import apt
from tests.support import packages

needs_apt = pytest.mark.skipif(not apt.is_there(), reason="there is no apt here")


@needs_apt
def test_two_that_want_it_at_once_fetch_it_once_and_it_runs(tmp_path: Path) -> None:
    together = threading.Barrier(2)

    def find() -> packages.Program | str:
        together.wait()
        return packages.unpacked("nginx", "nginx", tmp_path)

    with ThreadPoolExecutor(2) as pool:
        found, other = (started.result() for started in [pool.submit(find), pool.submit(find)])
    if isinstance(found, str):
        pytest.skip(f"the archive cannot be had: {found}")
    assert found == other
    environment = {**os.environ, **found.environment}
    done = subprocess.run([found.path, "-v"], env=environment, capture_output=True, text=True, check=False)
    assert "nginx version" in done.stderr
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == ["", ".lock"]


@needs_apt
def test_a_program_that_cannot_be_had_skips_the_test_with_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_CACHE_DIR", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there
    with pytest.raises(pytest.skip.Exception) as skipped:
        packages.program("never-heard-of", "nginx")
    assert "needs never-heard-of" in str(skipped.value)
    assert "\n" not in str(skipped.value)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_where_there_is_no_apt_the_test_is_skipped_in_ci_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.skip.Exception, match="there is no apt-get"):
        packages.program("never-heard-of", "nginx")
