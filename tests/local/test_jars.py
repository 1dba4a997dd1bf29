import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from jgo.maven import Artifact

from infra.local import jars
from infra.local.services import LocalError

_COORDINATE = "org.example:thing:1.0"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Maven that hands out the same bytes for everything, slowly; and a list of two jars."""

    def resolve(artifact: Artifact) -> Path:
        path = artifact.context.repo_cache / artifact.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        time.sleep(0.1)
        path.write_bytes(b"a jar")
        return path

    monkeypatch.setattr(Artifact, "resolve", resolve)
    _pin(monkeypatch, tmp_path, hashlib.sha256(b"a jar").hexdigest())


def _pin(monkeypatch: pytest.MonkeyPatch, folder: Path, digest: str) -> None:
    pinned = folder / "kafka-jars.ini"
    pinned.write_text(f"[jars]\n{_COORDINATE} = {digest}\norg.example:other:2.0 = {digest}\n")
    monkeypatch.setattr(jars, "OF_KAFKA", replace(jars.OF_KAFKA, listed=pinned))


def test_the_jars_of_the_list_are_fetched_once(tmp_path: Path) -> None:
    said: list[str] = []
    folder = jars.fetch(tmp_path / "cache", said.append)
    assert sorted(path.name for path in folder.iterdir()) == ["other-2.0.jar", "thing-1.0.jar"]
    assert jars.fetch(tmp_path / "cache", said.append) == folder
    assert said == [f"fetching Apache Kafka {jars.VERSION} (once, about 45 MB)"]


def test_several_first_starts_at_once_fetch_once_and_all_get_whole_jars(tmp_path: Path) -> None:
    said, together = [], threading.Barrier(4)

    def start(_: int) -> list[str]:
        together.wait()
        return sorted(path.name for path in jars.fetch(tmp_path / "cache", said.append).iterdir())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [["other-2.0.jar", "thing-1.0.jar"]] * 4
    assert len(said) == 1


def test_a_jar_that_is_not_what_it_should_be_is_refused_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _pin(monkeypatch, tmp_path, hashlib.sha256(b"another jar").hexdigest())
    with pytest.raises(LocalError, match=r"could not be fetched: its hash is not the one in kafka-jars\.ini"):
        jars.fetch(tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_without_a_network_it_says_what_to_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: Artifact) -> Path:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(Artifact, "resolve", fail)
    with pytest.raises(LocalError, match=r"(?s)no route to host.*HTTPS_PROXY"):
        jars.fetch(tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="MILLRACE_CACHE_DIR"):
        jars.fetch(tmp_path / "file")


def test_the_pinned_list_is_of_the_version_that_is_run() -> None:
    pinned = [line.split(" = ")[0] for line in Path(jars.__file__).with_name("kafka-jars.ini").read_text().splitlines()]
    assert jars.KAFKA in pinned
    assert jars.BRIDGE in pinned
    assert {c.split(":")[2] for c in pinned if c.startswith("org.apache.kafka:")} == {jars.VERSION}
