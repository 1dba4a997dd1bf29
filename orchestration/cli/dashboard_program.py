"""The dashboards as a program of the embedded stack: a Grafana that is on the PATH, else `millrace dashboard`.

What belongs here: which of the two, its command and its environment. What does not: the pages
(`monitoring.dashboard`), Grafana's files (`monitoring/grafana`), the other programs (`programs`).
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from infra.local import monitoring
from infra.local.services import HOST, LocalService, answers_http

NAME, GRAFANA = monitoring.DASHBOARD, monitoring.GRAFANA
FILES = monitoring.FOLDER / "grafana"
# All that either of them has to know of the stack; their values come by the supervisor's environment, in no file.
_KEPT = ("MILLRACE_ANALYST_URL", "MILLRACE_PROMETHEUS_URL", "MILLRACE_DATA_DIR")
_KEPT_FOR_GRAFANA = ("MILLRACE_ANALYST_PASSWORD", "MILLRACE_PROMETHEUS_URL")


def problem() -> str:
    """Why there are no dashboards, in one line; empty where there are."""
    if shutil.which(GRAFANA) or importlib.util.find_spec("nicegui"):
        return ""
    return f"install them with pip install 'millrace[dashboard]', or put {GRAFANA} on the PATH"


def service(directory: Path, ports: Mapping[str, int], settings: Mapping[str, str]) -> LocalService:
    """How to run it. It needs none of the settings that reach the owner's tables, Kafka or Redis."""
    port, grafana = ports[NAME], shutil.which(GRAFANA)
    made = _grafana(Path(grafana), directory, port, settings) if grafana else _own(port, ports)
    command, environment, health = made
    kept = _KEPT_FOR_GRAFANA if grafana else _KEPT
    return LocalService(
        name=NAME,
        command=command,
        cwd=directory,
        ready=partial(answers_http, port, health),
        environment={**{name: "" for name in settings if name not in kept}, **environment},
        port=port,
        priority=2,
        ready_seconds=120,
    )


_Described = tuple[tuple[str, ...], dict[str, str], str]


def _own(port: int, ports: Mapping[str, int]) -> _Described:
    dagster = f"http://{HOST}:{ports['webserver']}"
    command = (sys.executable, "-P", "-m", "orchestration.cli", NAME, "--port", str(port), "--dagster", dagster)
    return command, {"PYTHONUNBUFFERED": "1"}, "/health"


def _grafana(program: Path, directory: Path, port: int, settings: Mapping[str, str]) -> _Described:
    """Provisioned with our dashboards, for anybody on this machine to see."""
    home, analyst = directory / "grafana", conninfo_to_dict(settings["MILLRACE_ANALYST_URL"])
    command = (str(program), "--homepath", str(_home(program)))
    environment = {
        "GF_PATHS_DATA": str(home),
        "GF_PATHS_LOGS": str(home / "log"),
        "GF_PATHS_PLUGINS": str(home / "plugins"),
        "GF_PATHS_PROVISIONING": str(FILES / "provisioning"),
        "GF_SERVER_HTTP_ADDR": HOST,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(FILES / "dashboards" / "pipeline.json"),
        "MILLRACE_DASHBOARDS": str(FILES / "dashboards"),
        "MILLRACE_ALERTMANAGER_URL": settings.get("MILLRACE_ALERTMANAGER_URL", ""),
        "MILLRACE_ANALYST_HOST": f"{analyst['host']}:{analyst['port']}",
        "MILLRACE_ANALYST_DATABASE": str(analyst["dbname"]),
        "MILLRACE_ANALYST_USER": str(analyst["user"]),
        "MILLRACE_ANALYST_SSLMODE": "disable",
    }
    return command, environment, "/api/health"


def _home(program: Path) -> Path:
    """Where Grafana's own files are: of the archive or of the package that the program is from."""
    own = program.resolve().parent.parent
    known = (os.environ.get("GF_PATHS_HOME"), own, "/usr/share/grafana")
    return next((Path(each) for each in known if each and (Path(each) / "public").is_dir()), own)
