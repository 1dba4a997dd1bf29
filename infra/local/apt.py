"""apt without root: packages of this system's own archive, downloaded and looked into, nothing installed.

What belongs here: running `apt-get` and `dpkg-deb` with folders of our own. What does not: which packages, and what
becomes of them (`debian`).

apt checks what it downloads: the archive's index is signed by a key that the system trusts, and holds each package's
hash. So nothing is pinned here, and security updates come by themselves.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from infra.local.services import LocalError

# An archive that is slow may take its time, one from which nothing comes may not.
_SILENCE_SECONDS = 20.0
_LONGEST_SECONDS = 300.0

# The system's own hooks are about the system's own lists; -o cannot clear them.
_SETTINGS = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Retries "1";
"""


def is_there() -> bool:
    """Whether this system has apt."""
    return all(shutil.which(program) for program in ("apt-get", "dpkg-deb"))


class Apt:
    """apt in a folder of its own; not for several threads at once."""

    def __init__(self, folder: Path, *, silence_seconds: float = _SILENCE_SECONDS) -> None:
        self._folder = folder
        self._silence = silence_seconds
        self._private: tuple[str, ...] = ()
        (folder / "apt.conf").write_text(_SETTINGS)

    def download(self, packages: Iterable[str]) -> list[Path]:
        """Download packages; the files.

        The system's lists serve where they can. In a fresh container they are empty, elsewhere they may name versions
        that are gone from the archive: then lists of our own are fetched, which needs no root.

        Raises:
            LocalError: a package could not be had; one line.
        """
        wanted = tuple(packages)
        before = set(self._folder.glob("*.deb"))
        try:
            self._apt_get("download", *wanted)
        except NetworkHangs:
            raise
        except LocalError as error:
            if self._private:
                raise
            said = self._refresh()
            self._again(wanted, _problem(said) or str(error))
        return sorted(set(self._folder.glob("*.deb")) - before)

    def _again(self, wanted: tuple[str, ...], reason: str) -> None:
        try:
            self._apt_get("download", *wanted)
        except NetworkHangs:
            raise
        except LocalError:
            raise LocalError(reason) from None

    def _refresh(self) -> str:
        lists, cache = self._folder / "lists", self._folder / "cache"
        self._private = ("-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}")
        (lists / "partial").mkdir(parents=True)
        (cache / "archives" / "partial").mkdir(parents=True)
        return self._apt_get("update")

    def _apt_get(self, *arguments: str) -> str:
        """Run it to its end; what it said."""
        command = ("apt-get", "-c", str(self._folder / "apt.conf"), *self._private, *arguments)
        with (self._folder / "apt.log").open("w+b") as log:
            # A session of its own, to end apt together with the processes that it downloads with.
            with subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ) as child:
                try:
                    self._watch(child)
                finally:
                    if child.poll() is None:
                        os.killpg(child.pid, signal.SIGKILL)
            log.seek(0)
            said = log.read().decode(errors="replace")
        if child.returncode != 0:
            raise LocalError(_problem(said) or (said.strip().splitlines() or ["apt-get failed"])[-1])
        return said

    def _watch(self, child: "subprocess.Popen[bytes]") -> None:
        began = changed = time.monotonic()
        size = -1
        while child.poll() is None:
            now, found = time.monotonic(), _size(self._folder)
            if found != size:
                size, changed = found, now
            if now - changed > self._silence or now - began > _LONGEST_SECONDS:
                raise NetworkHangs(
                    f"the network hangs: nothing came from the package archive for {self._silence:.0f} s"
                )
            time.sleep(0.1)


class NetworkHangs(LocalError):
    """Nothing comes; another attempt would only take as long."""


def unpack(package: Path, folder: Path) -> None:
    """A package's files into a folder, as dpkg would lay them under the root; its scripts are not run."""
    answer = subprocess.run(("dpkg-deb", "-x", package, folder), capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise LocalError(f"{package.name} cannot be unpacked: {answer.stderr.strip()}")


def dependencies(package: Path) -> set[str]:
    """The names of the packages that a package depends on; of alternatives the first."""
    answer = subprocess.run(("dpkg-deb", "-f", package, "Depends"), capture_output=True, text=True, check=False)
    return set(re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9+.-]+)", answer.stdout))


def _size(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except OSError:  # apt renames what is complete
                continue
    return total


def _problem(said: str) -> str:
    """What is in the way, in one line: an archive that does not answer (an update only warns of it), else an error."""
    for pattern in (r"^[EW]: Failed to fetch \S+\s+(.+)$", r"^E: (.+)$"):
        if found := re.search(pattern, said, re.MULTILINE):
            return " ".join(found[1].split())
    return ""
