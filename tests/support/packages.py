"""Programs that tests need and a fresh machine lacks: Debian's or Ubuntu's own packages, unpacked without root.

What belongs here: finding a program here, else among unpacked packages, with the libraries that it lacks. What does
not: what is done with it. They are kept where all test runs of this user find them (`cache`), once for each release.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from infra.local import apt, debian, files
from infra.local.cache import directory as kept
from infra.local.services import LocalError

_ELSEWHERE = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"  # not on everybody's PATH
_NOT_NEEDED = ("libllvm", "libc6", "libnginx-mod")  # a hundred megabytes; there wherever dpkg is; never loaded


@dataclass(frozen=True)
class Program:
    """A program, and what must be in its environment."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def program(name: str, package: str, *, needs: tuple[str, ...] = ()) -> Program:
    """A program of this machine, else of a package; the test that asks is skipped where there is neither.

    Args:
        name: of the program.
        package: it is in this one, or in one that this one depends on and that begins with the same word.
        needs: programs that must be in the same folder.
    """
    here = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_ELSEWHERE}")
    if here and all((Path(here).resolve().parent / each).exists() for each in needs):
        return Program(Path(here).resolve())
    found = unpacked(name, package, kept())
    if isinstance(found, str):
        pytest.skip(f"needs {name}, which is neither here nor to be had: {found}")
    return found


@cache
def unpacked(name: str, package: str, caches: Path) -> Program | str:
    """The program among unpacked packages, fetched the first time; or why not, asked once a process."""
    home = caches / f"tests-{package}-{debian.system()}-1"
    try:
        if not home.exists():
            if not apt.is_there():
                return "there is no apt-get"
            with files.locked(home.parent / f"{home.name}.lock"):
                if not home.exists():
                    _fill(home, name, package)
    except (LocalError, OSError) as error:
        return str(error)
    path = _find(home, name)
    return Program(path, _environment(home)) if path else f"{home} has no {name}"


def _fill(home: Path, name: str, package: str) -> None:
    """Everything into a folder beside, which takes the name when it is whole."""
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}-") as made:
        downloads, root = Path(made) / "downloads", Path(made) / "root"
        downloads.mkdir()
        _unpack(apt.Apt(downloads), root, name, package)
        root.rename(home)


def _unpack(archive: apt.Apt, root: Path, name: str, package: str) -> None:
    """The package, those that it depends on until the program is there, then until it has its libraries."""
    got, seen, todo, missing = list[Path](), set[str](), {package}, name
    while todo and missing:
        new = archive.download(sorted(todo))
        for each in new:
            apt.unpack(each, root)
        got += new
        seen |= todo
        path = _find(root, name)
        missing = _lacks(path.parent, root) if path else name
        todo = _dependencies(got, "lib" if path else f"{package}-") - seen
    if missing:
        raise LocalError(f"Debian's packages of {package} bring no {missing}")


def _find(root: Path, name: str) -> Path | None:
    return next((path for path in sorted(root.glob(f"usr/**/*bin/{name}")) if os.access(path, os.X_OK)), None)


def _lacks(folder: Path, root: Path) -> str:
    """The first library that no program of a folder would start without, as the loader sees it."""
    said = subprocess.run(
        ["ldd", *folder.iterdir()], env={**os.environ, **_environment(root)}, capture_output=True, text=True,
        check=False,
    ).stdout  # fmt: skip
    found = re.search(r"(\S+) => not found", said)
    return found[1] if found else ""


def _dependencies(packages: list[Path], prefix: str) -> set[str]:
    """What packages depend on and this machine has not installed, as far as its name begins so."""
    names = {name for package in packages for name in apt.dependencies(package) if name.startswith(prefix)}
    return {name for name in names if not name.startswith(_NOT_NEEDED) and not _installed(name)}


def _installed(package: str) -> bool:
    asked = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.startswith("installed")


def _environment(root: Path) -> dict[str, str]:
    folders = sorted(
        {str(path.parent) for part in ("lib", "usr/lib") for path in root.glob(f"{part}/*-linux-*/*.so.*")}
    )
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}
