"""Prometheus, its Pushgateway and its Alertmanager from Debian's or Ubuntu's own packages, unpacked without root.

What belongs here: which packages, where they are kept, and what makes programs run from a place that their packages
were not made for. What does not: apt (`apt`), finding programs (`binaries`), running them (`monitoring`).

They are kept in the cache that Kafka's jars are in, not in a data directory: 160 MB that every data directory, every
test and every other checkout of this user would fetch again. A data directory's `bin` links here.
"""

import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local import apt, cache, files
from infra.local.services import LocalError

PACKAGES = ("prometheus-pushgateway", "prometheus", "prometheus-alertmanager")
SIZE = "about 36 MB"
_LAYOUT = 2  # to be raised when what is made of the packages here changes
# What the packages call each program, by the name that it has everywhere else.
_PROGRAMS = {
    "pushgateway": "prometheus-pushgateway",
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "promtool": "promtool",
    "amtool": "amtool",
}
# Debian's programs look for their pages at fixed places, unless they are told others.
_PAGES: Mapping[str, Mapping[str, str]] = {
    "pushgateway": {"--web.local-assets": "usr/share/prometheus/pushgateway"},
    "prometheus": {
        "--web.local-assets": "usr/share/prometheus/web",
        "--web.console.templates": "etc/prometheus/consoles",
        "--web.console.libraries": "etc/prometheus/console_libraries",
    },
}
# The pages' scripts and fonts are packages of their own; so is promtool since Debian 13.
_PARTS = ("libjs-", "fonts-", "promtool", "amtool")
_BALLAST = "usr/share/javascript/moment-timezone/data"  # 200 MB of sources of a file that the pages read beside it
_ALERTMANAGER_HOME = "/usr/share/prometheus/alertmanager"
_DESCRIPTOR = 9


def folder(caches: Path | None = None) -> Path:
    """Where the packages are unpacked, if they are: a folder for this release of this system and this processor."""
    return (caches or cache.directory()) / f"prometheus-{system()}-{_LAYOUT}"


def system() -> str:
    """This release of this system and this processor, as a part of a folder's name."""
    release = _release()
    return f"{release.get('ID', 'linux')}-{release.get('VERSION_ID', 'rolling')}-{platform.machine()}"


def fetch(
    caches: Path | None = None, say: Callable[[str], None] = lambda _: None, *, silence_seconds: float = 20
) -> Path:
    """The folder of the unpacked packages, filled the first time; several first starts at once wait for one download.

    Its `bin` holds the programs under their usual names, fit to be run from anywhere.

    Raises:
        LocalError: this is neither Debian nor Ubuntu, the archive does not answer, or the like; one line.
    """
    home = folder(caches)
    if home.exists():
        return home
    if not apt.is_there():
        raise LocalError("there is no apt-get here to fetch Prometheus's packages with")
    try:
        with files.locked(home.parent / f"{home.name}.lock"):
            if not home.exists():
                say(f"fetching Prometheus's packages (once, {SIZE})")
                _fill(home, silence_seconds)
    except OSError as error:
        raise LocalError(
            f"Prometheus's packages cannot be kept: {error}; name another: MILLRACE_CACHE_DIR=DIR"
        ) from error
    return home


def _release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _fill(home: Path, silence_seconds: float) -> None:
    """Everything into a folder beside, which takes the name when it is whole."""
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".prometheus-") as name:
        downloads, staging = Path(name) / "downloads", Path(name) / "unpacked"
        downloads.mkdir()
        for package in _download(apt.Apt(downloads, silence_seconds=silence_seconds)):
            apt.unpack(package, staging)
        shutil.rmtree(staging / _BALLAST, ignore_errors=True)
        _relocate_alertmanager(staging)
        _make_bin(staging)
        _check(staging)
        staging.rename(home)


def _download(archive: apt.Apt) -> list[Path]:
    """The packages, and those that hold parts of them; without a page's scripts and fonts it is only ugly."""
    found, todo, seen = [], set(PACKAGES), set[str]()
    while todo:
        try:
            got = archive.download(sorted(todo))
        except LocalError:
            if not found:
                raise
            break
        found += got
        seen |= todo
        needed = {name for package in got for name in apt.dependencies(package)}
        todo = {name for name in needed if name.startswith(_PARTS)} - seen
    return found


def _relocate_alertmanager(root: Path) -> None:
    """Let Debian's Alertmanager find the templates of its messages, without which it does not start.

    Their folder is a constant in the program, and there is no flag for it. It is replaced by one of the same length:
    the directory that stands open as a certain file descriptor, which the script that starts it sees to.
    """
    program = root / "usr/bin" / _PROGRAMS["alertmanager"]
    constant = _ALERTMANAGER_HOME.encode()
    ours = f"/proc/self/fd/{_DESCRIPTOR}".encode().ljust(len(constant), b"/")
    program.write_bytes(program.read_bytes().replace(constant, ours))


def _make_bin(root: Path) -> None:
    (root / "bin").mkdir()
    for name, packaged in _PROGRAMS.items():
        path = root / "bin" / name
        if name in ("promtool", "amtool"):
            path.symlink_to(os.path.relpath(root / "usr/bin" / packaged, path.parent))
        else:
            files.write(path, _starter(root, name), 0o755)


def _check(root: Path) -> None:
    """A folder that lacks a program would be kept, and be taken for whole for ever."""
    missing = sorted(name for name in _PROGRAMS if not (root / "bin" / name).exists())
    if missing:
        raise LocalError(f"the packages of {system()} bring no {', '.join(missing)}")


def _starter(root: Path, name: str) -> str:
    """A script that starts a program with its pages and templates where they are, in whatever directory."""
    packaged = root / "usr/bin" / _PROGRAMS[name]
    known = subprocess.run((packaged, "--help"), capture_output=True, text=True, check=False)
    if known.returncode != 0:
        raise LocalError(f"{packaged.name} does not run here: {(known.stderr.strip().splitlines() or [''])[-1]}")
    pages = {flag: place for flag, place in _PAGES.get(name, {}).items() if flag in known.stdout + known.stderr}
    flags = "".join(f' {flag}="$root"/{shlex.quote(place)}' for flag, place in pages.items())
    home = f'exec {_DESCRIPTOR}<"$root{_ALERTMANAGER_HOME}"\n' if name == "alertmanager" else ""
    find = 'root=$(dirname "$(dirname "$(readlink -f "$0")")")'
    return f'#!/bin/sh\n{find}\n{home}exec "$root/usr/bin/{packaged.name}"{flags} "$@"\n'
