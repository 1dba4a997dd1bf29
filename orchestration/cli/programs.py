"""Dagster's and Millrace's own processes, as programs for the embedded stack.

What belongs here: their commands, ports, order and readiness. What does not: how programs are started and watched
(`infra.local`), and what the processes do (`orchestration.dagster_runtime`).
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from infra.local import files, monitoring, postgres, state
from infra.local.alertmanager_config import Receivers
from infra.local.plan import Application
from infra.local.services import HOST, LocalService, answers_http, answers_tcp, tail
from infra.postgres import analyst_role
from orchestration import code_version
from orchestration import settings as settings_module
from orchestration.cli import dashboard_program
from orchestration.dagster_runtime import health, instance
from orchestration.receivers import receivers

WEBSERVER, CODE_SERVER, DASHBOARD = "webserver", "code-server", dashboard_program.NAME
PORTS = {WEBSERVER: 3000, CODE_SERVER: 4266, DASHBOARD: 3001}
_PUSHGATEWAY, _ALERTS = "MILLRACE_PUSHGATEWAY_URL", "MILLRACE_ALERT_"
_DOCS = "MILLRACE_DOCS_URL"
_CAPACITY = "MILLRACE_POSTGRES_CAPACITY_BYTES"  # other at each start
QUEUES = ("ingest", "aggregates", "default")
_READY_WITHIN = 120.0  # six processes import Dagster at once, on two cores perhaps


def application() -> Application:
    """All of Millrace, to run on the embedded services.

    Raises:
        SettingsError: a setting in this process's environment is wrong.
    """
    passed_on = _settings_of_the_caller()
    settings = settings_module.load({**passed_on, **settings_module.PLACES})
    # Receivers of alerts are for Alertmanager's configuration alone; no program needs their secrets.
    for_programs = {name: value for name, value in passed_on.items() if not name.startswith(_ALERTS)}
    return Application(
        ports={name: port for name, port in PORTS.items() if name != DASHBOARD or not dashboard_program.problem()},
        environment=lambda directory, ports: _with_analysts({**_environment(directory, ports), **for_programs}, ports),
        prepare=lambda directory: _prepare(directory, receivers(settings)),
        migrate=_millrace("migrate"),
        programs=_programs,
        metrics_off=f"ours are not needed, {_PUSHGATEWAY} names your own" if settings.pushgateway_url else "",
        code=code_version.digest(),
    )


def differences(application: Application, directory: Path) -> list[str]:
    """What a stack that is up was started with and this shell and this code would not start it with. No values."""
    known, there = state.load(directory), state.environment(directory)
    wanted = application.environment(directory, known.ports)
    names = {settings_module.variable(field) for field in settings_module.Settings.model_fields}
    chosen = sorted(names - {*settings_module.PLACES, _PUSHGATEWAY, _CAPACITY})
    found = [f"the setting {name}" for name in chosen if there.get(name) != wanted.get(name)]
    return found + (["the code"] if known.code and known.code != application.code else [])


def _settings_of_the_caller() -> dict[str, str]:
    """What the caller has set beside the places of the services: batch sizes, topics and the like."""
    names = [settings_module.variable(field) for field in settings_module.Settings.model_fields]
    ours = {*settings_module.PLACES, *(name for name in (_PUSHGATEWAY, _DOCS) if _is_of_a_stack(name))}
    return {name: os.environ[name] for name in names if name not in ours and os.environ.get(name)}


def _is_of_a_stack(name: str) -> bool:
    """Whether a setting is that of the stack whose settings were taken over (`millrace env`), and no wish."""
    ports = state.load(Path(os.environ.get("MILLRACE_DATA_DIR") or ".millrace")).ports
    if name == _DOCS:
        return os.environ.get(name) == f"{monitoring.pages(ports)}docs/"
    port = ports.get(monitoring.PUSHGATEWAY)
    return port is not None and os.environ.get(name) == monitoring.url(port)


def _prepare(directory: Path, told: Receivers) -> None:
    instance.prepare_home(directory / "dagster")
    if (home := directory / monitoring.ALERTMANAGER).exists() and not monitoring.problem():
        monitoring.notify(home, told)


def _environment(directory: Path, ports: Mapping[str, int]) -> dict[str, str]:
    return {
        "MILLRACE_DATA_DIR": str(directory),
        "MILLRACE_CODE_SERVER_HOST": HOST,
        "MILLRACE_CODE_SERVER_PORT": str(ports[CODE_SERVER]),
        "MILLRACE_KAFKA_CREATE_TOPICS": "true",
        _CAPACITY: str(_capacity(directory)),
        **({_DOCS: f"{pages}docs/"} if (pages := monitoring.pages(ports)) else {}),
        "DAGSTER_HOME": str(directory / "dagster"),
    }


def _capacity(directory: Path) -> int:
    """How large the database can become on this disk: what it takes now, and what is free."""
    files_now = (directory / postgres.NAME / "data" / "base").rglob("*")
    return shutil.disk_usage(directory).free + sum(path.stat().st_size for path in files_now if path.is_file())


def _with_analysts(settings: dict[str, str], ports: Mapping[str, int]) -> dict[str, str]:
    """Add the analysts' password, unless the caller has set one, and the URL that it makes."""
    directory = Path(settings["MILLRACE_DATA_DIR"]) / postgres.NAME
    password = settings.get("MILLRACE_ANALYST_PASSWORD") or files.secret(directory / "analyst-password")
    url = postgres.url(directory, ports[postgres.NAME], user=analyst_role.ROLE, password=password)
    return {**settings, "MILLRACE_ANALYST_PASSWORD": password, "MILLRACE_ANALYST_URL": url}


def _programs(directory: Path, ports: Mapping[str, int], settings: Mapping[str, str]) -> list[LocalService]:
    server = partial(_server, directory, ports)
    return [
        server(CODE_SERVER, ready=partial(answers_tcp, ports[CODE_SERVER])),
        *(_worker(directory, queue) for queue in QUEUES),
        _service(directory, "daemon", _millrace("daemon"), partial(_beats, settings, datetime.now(UTC)), priority=2),
        server(WEBSERVER, ready=partial(_serves, ports), priority=2),
        *([dashboard_program.service(directory, ports, settings)] if DASHBOARD in ports else []),
    ]


def _service(
    directory: Path,
    name: str,
    command: tuple[str, ...],
    ready: Callable[[], bool],
    *,
    port: int | None = None,
    priority: int = 1,
) -> LocalService:
    return LocalService(
        name=name,
        command=command,
        cwd=directory,
        ready=ready,
        environment={"PYTHONUNBUFFERED": "1"},
        port=port,
        priority=priority,
        stop_seconds=30,  # a worker finishes the runs in hand, for at most 25 s
        settle_seconds=5,
        ready_seconds=_READY_WITHIN,
    )


def _worker(directory: Path, queue: str) -> LocalService:
    name = f"worker-{queue}"
    log = directory / "logs" / f"{name}.log"
    return _service(directory, name, _millrace("worker", queue), partial(_says_ready, log))


def _server(
    directory: Path, ports: Mapping[str, int], name: str, *, ready: Callable[[], bool], priority: int = 1
) -> LocalService:
    command = _millrace(name, "--host", HOST, "--port", str(ports[name]))
    return _service(directory, name, command, ready, port=ports[name], priority=priority)


def _millrace(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "orchestration.cli", *arguments)


def _serves(ports: Mapping[str, int]) -> bool:
    return answers_http(ports[WEBSERVER], "/server_info")


def _says_ready(log: Path) -> bool:
    """Whether the worker that lives has said that it is ready: it has no port to ask."""
    said = re.findall(r" is ready, pid (\d+)", tail(log, 200))
    return bool(said) and psutil.pid_exists(int(said[-1]))


def _beats(settings: Mapping[str, str], since: datetime) -> bool:
    """Whether the sensor daemon has shown a sign of life since then; an older one is that of a former life."""
    try:
        beat = health.last_beat(settings["MILLRACE_POSTGRES_URL"])
    except health.UnhealthyError:  # Dagster's tables are not there yet
        return False
    return beat is not None and beat > since
