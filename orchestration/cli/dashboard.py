"""`millrace dashboard`: Grafana's dashboards in the browser, without Grafana.

What belongs here: arguments and start-up. What does not: the pages (`monitoring.dashboard`), who is refused
(`orchestration.dagster_runtime.web_rules`).
"""

import importlib.util
import os
import sys
from pathlib import Path

import click

from infra.local import state

_HOST = "127.0.0.1"  # it knows no login


@click.command()
@click.option("--port", type=int, default=3001, show_default=True)
@click.option("--dagster", metavar="URL", default="http://127.0.0.1:3000", show_default=True, help="Where links lead.")
@click.option(
    "--scrape",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How often your Prometheus scrapes the Pushgateway, in seconds. Rates are taken over four times as long.",
)
def dashboard(port: int, dagster: str, scrape: int) -> None:
    """Show the dashboards in a browser of this machine, without Grafana.

    They are read as the analysts' role (MILLRACE_ANALYST_URL) and from Prometheus (MILLRACE_PROMETHEUS_URL): those of
    `millrace env`, or your own. It knows no login, listens on loopback alone, and refuses what pages of other sites
    make a browser ask for, as `millrace webserver` does.
    """
    if importlib.util.find_spec("nicegui") is None:
        click.echo("the dashboards need NiceGUI: pip install 'millrace[dashboard]'", err=True)
        sys.exit(1)
    from monitoring.dashboard import server
    from monitoring.dashboard.asking import Asking
    from monitoring.dashboard.sources import Database, Prometheus
    from orchestration.dagster_runtime.web_rules import Rules
    from orchestration.dagster_runtime.webserver import Guarded

    book = {"runbook": "/runbook"} if server.has_runbook() else {}
    prometheus = Prometheus(os.environ.get("MILLRACE_PROMETHEUS_URL"), _why_not())
    database = Database(os.environ.get("MILLRACE_ANALYST_URL"))
    asking = Asking(prometheus, database, {"dagster": dagster, **book}, scrape)
    server.serve(asking, lambda app: Guarded(app, Rules(())), _HOST, port)


def _why_not() -> str:
    """Why the stack whose program this is has no Prometheus."""
    directory = os.environ.get("MILLRACE_DATA_DIR")
    return state.load(Path(directory)).metrics_off if directory else ""
