"""Pushgateway, Prometheus and Alertmanager for one machine: their settings and start commands.

What belongs here: how they are run, and whether they can be. What does not: finding and fetching their programs
(`binaries`, `debian`), and what their configuration says (`prometheus_config`, `alertmanager_config`, and the files in
`monitoring/`).

They are optional, all three or none: where a program is missing and cannot be fetched, Millrace runs without metrics.
`python -m infra.local.monitoring` (`make monitoring`) makes sure that they are there.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from infra.local import alertmanager_config, apt, binaries, debian, files, prometheus_config
from infra.local.services import HOST, LocalError, LocalService, answers_http

FOLDER = Path(__file__).parents[2] / "monitoring"
"""Where the rules of Prometheus and the routes of Alertmanager are; installed beside the packages, too."""

PUSHGATEWAY, PROMETHEUS, ALERTMANAGER = NAMES = ("pushgateway", "prometheus", "alertmanager")
DASHBOARD, GRAFANA = "dashboard", "grafana-server"


def problem() -> str:
    """Why they cannot be run, not even after a download, in one line; empty when they can."""
    return "" if apt.is_there() else _missing()


def fetch(say: Callable[[str], None] = lambda _: None) -> None:
    """Make sure that the programs are there.

    Raises:
        LocalError: they are not; one line.
    """
    missing = _missing()
    if not missing:
        return
    if not apt.is_there():
        raise LocalError(missing)
    try:
        debian.fetch(say=say)
    except LocalError as error:
        raise LocalError(f"{error}; the next start tries again, or {binaries.ELSEWHERE}") from None
    if missing := _missing():
        raise LocalError(missing)


def is_there() -> bool:
    """Whether a start needs no network."""
    return not _missing()


def _missing() -> str:
    for program in binaries.MONITORING:
        try:
            binaries.monitoring(program)
        except LocalError as error:
            return str(error)
    return ""


def link(directory: Path) -> None:
    """Let a data directory's `bin` lead to the programs that were fetched, `promtool` and `amtool` among them."""
    path, target = directory / "bin", debian.folder() / "bin"
    if path.is_symlink():
        path.unlink()
    if target.exists() and not path.exists():
        path.symlink_to(target)


def prepare(name: str, home: Path, ports: Mapping[str, int]) -> None:
    """Write the configuration of one of NAMES, with whichever of them have a port."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if name == ALERTMANAGER:
        notify(home, alertmanager_config.Receivers())
    elif name == PROMETHEUS:
        source = FOLDER
        addresses = {other: f"{HOST}:{ports[other]}" for other in NAMES if other in ports}
        text = (source / "prometheus" / "prometheus.yml").read_text()
        # Browsers follow no link from a page of a server to a file; the dashboards' server shows the documents.
        base = pages(ports) or f"{source.parent.as_uri()}/"
        rendered = prometheus_config.rendered(text, addresses, source / "prometheus", runbook_base=base)
        files.write(home / "prometheus.yml", rendered)


def notify(home: Path, receivers: alertmanager_config.Receivers) -> None:
    """Write Alertmanager's configuration with these receivers, readable by its owner only."""
    text = (FOLDER / "alertmanager" / "alertmanager.yml").read_text()
    files.write(home / "alertmanager.yml", alertmanager_config.rendered(text, receivers), 0o600)


def service(name: str, home: Path, port: int) -> LocalService:
    """How to run one of NAMES in a prepared directory."""
    listen = f"--web.listen-address={HOST}:{port}"
    return LocalService(
        name=name,
        command=(str(binaries.monitoring(name)), listen, *_arguments(name, home, port)),
        cwd=home,
        port=port,
        ready=partial(answers_http, port, "/-/ready"),
    )


def _arguments(name: str, home: Path, port: int) -> tuple[str, ...]:
    if name == PUSHGATEWAY:  # it keeps nothing: what is pushed comes from PostgreSQL's totals, every few seconds
        return ("--persistence.file=",)
    here = f"--web.external-url={url(port)}"
    config = f"--config.file={home / name}.yml"
    if name == ALERTMANAGER:  # without an address for its cluster it opens no second port
        return (here, config, f"--storage.path={home / 'data'}", "--cluster.listen-address=", *_page())
    storage = "--storage.tsdb"
    keep = (f"{storage}.path={home / 'data'}", f"{storage}.retention.time=7d", f"{storage}.retention.size=1GB")
    return (here, config, *keep)


def _page() -> tuple[str, ...]:
    """A page that shows alerts, for Debian's Alertmanager, which has none; others have a better one of their own."""
    program, flag = binaries.monitoring(ALERTMANAGER), "--web.ui-path"
    if not program.is_relative_to(debian.folder()):
        return ()
    known = subprocess.run((program, "--help"), capture_output=True, text=True, check=False)
    return (f"{flag}={FOLDER / 'alertmanager' / 'ui'}",) if flag in known.stdout + known.stderr else ()


def pages(ports: Mapping[str, int]) -> str:
    """Where the dashboards' server shows docs/, with a slash at the end; empty where there is none, or a Grafana."""
    return f"{url(ports[DASHBOARD])}/" if DASHBOARD in ports and not shutil.which(GRAFANA) else ""


def url(port: int) -> str:
    """Where one of them is."""
    return f"http://{HOST}:{port}"


def main() -> None:
    """Make sure that the programs are there; exit code 1 with the reason when they cannot be had."""
    try:
        fetch(lambda text: print(text, flush=True))  # noqa: T201 - this is its answer
    except LocalError as error:
        sys.exit(f"metrics are off: {error}")


if __name__ == "__main__":
    main()
