"""Jars, above all Kafka's: fetched once from Maven Central, checked against known hashes, shared by all.

What belongs here: the cache of jars, and the list of what is in it (`kafka-jars.ini`, made by
`python -m infra.local.jars`; the benchmarks have one of their own). What does not: how Kafka is run (`kafka`).

The list is pinned rather than resolved at each first start: resolving takes six seconds, may answer
differently tomorrow, and jgo reports a file that does not match its checksum only as a warning.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra.local import cache as caches
from infra.local import files
from infra.local.kafka import VERSION
from infra.local.services import LocalError

KAFKA = f"org.apache.kafka:kafka_2.13:{VERSION}"
# Kafka logs through slf4j 1.7, and its Maven coordinates bring log4j but not the bridge between the two. It
# is asked for apart: asked for together, its own parent would replace Kafka's clients by an old release.
BRIDGE = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"

_ATTEMPTS = 3


@dataclass(frozen=True)
class Pinned:
    """A list of jars, a line each: coordinate = sha256."""

    listed: Path
    folder: str
    what: str
    """What is fetched, and how large it is, for people."""

    def place(self, cache: Path) -> Path:
        """The folder of these jars; another list has another one."""
        return cache / f"{self.folder}-{hashlib.sha256(self.listed.read_bytes()).hexdigest()[:8]}"

    def pairs(self) -> list[tuple[str, str]]:
        """Coordinates and hashes."""
        pairs = [line.partition(" = ") for line in self.listed.read_text().splitlines() if " = " in line]
        return [(coordinate, digest) for coordinate, _, digest in pairs]


OF_KAFKA = Pinned(
    Path(__file__).with_name("kafka-jars.ini"), f"kafka-{VERSION}", f"Apache Kafka {VERSION} (once, about 45 MB)"
)


def fetch(cache: Path | None = None, say: Callable[[str], None] = lambda _: None, pinned: Pinned | None = None) -> Path:
    """The folder of the jars, by default Kafka's, filled the first time; first starts at once wait for one download.

    Raises:
        LocalError: a jar can be neither found nor downloaded, or is not what it should be.
    """
    jars = pinned or OF_KAFKA
    folder = jars.place(cache or caches.directory())
    if folder.exists():
        return folder
    try:
        with files.locked(folder.parent / f"{folder.name}.lock"):
            if not folder.exists():
                say(f"fetching {jars.what}")
                _fill(folder, jars)
    except OSError as error:
        raise LocalError(
            f"Kafka's jars cannot be kept: {error}; name another folder: MILLRACE_CACHE_DIR=DIR"
        ) from error
    return folder


def cached() -> bool:
    """Whether a start would find all of Kafka's jars without the network."""
    return OF_KAFKA.place(caches.directory()).exists()


def _fill(folder: Path, jars: Pinned) -> None:
    """Everything into a folder beside, which takes the name when it is whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".kafka-") as name:
        staging = Path(name) / "jars"
        staging.mkdir()
        with ThreadPoolExecutor(8) as pool:
            for path in pool.map(partial(_jar, Path(name) / "maven", jars.listed.name), jars.pairs()):
                shutil.copyfile(path, staging / path.name)
        staging.rename(folder)


def _jar(repository: Path, listed: str, wanted: tuple[str, str]) -> Path:
    """One jar, from the user's own Maven repository where it is there, else downloaded."""
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    coordinate, digest = wanted
    settings = GlobalSettings.load()
    problem = ""
    for attempt in range(_ATTEMPTS):
        own = [settings.repo_cache] if attempt == 0 else []
        context = MavenContext(
            repo_cache=repository, local_repos=own, remote_repos=settings.repositories or None, timeout=60
        )
        try:
            path = context.create_dependency(coordinate).artifact.resolve()
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            problem = str(error)
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return path
        problem = f"its hash is not the one in {listed}"
        if path.is_relative_to(repository):
            path.unlink()
    raise LocalError(
        f"Kafka's jar {coordinate} could not be fetched: {problem}\n"
        "Check the connection (HTTPS_PROXY and the [repositories] of ~/.config/jgo.conf are honoured), "
        "then start again."
    )


def resolve() -> list[str]:
    """The list anew, for a change of version: what Maven says Kafka needs, each with its hash."""
    from jgo.maven import MavenContext, PythonResolver

    with tempfile.TemporaryDirectory() as name:
        context = MavenContext(repo_cache=Path(name), timeout=60)
        direct, transitive = PythonResolver().resolve([context.create_dependency(KAFKA)])
        lines: list[str] = []
        for found in [*direct, *transitive, context.create_dependency(BRIDGE)]:
            digest = hashlib.sha256(found.artifact.resolve().read_bytes()).hexdigest()
            lines.append(f"{found.groupId}:{found.artifactId}:{found.version} = {digest}")
    return sorted(lines)


if __name__ == "__main__":
    OF_KAFKA.listed.write_text("\n".join(["[jars]", *resolve()]) + "\n")
