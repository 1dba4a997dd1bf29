"""`millrace daemon`, `worker`, `code-server` and `webserver`: the processes of Dagster, each in the foreground.

What belongs here: their arguments. What does not: how they work (`orchestration.dagster_runtime`). The web server and
the code server are Dagster's own commands, run in this process, so that what came from files stays in its memory.
"""

import os
import signal

import click

from orchestration import settings
from orchestration.dagster_runtime import instance

_LEVELS = click.Choice(["debug", "info", "warning", "error"])
_OTHERS = 2
_ONE_WRITER = 1
_host = click.option(
    "--host",
    envvar="MILLRACE_LISTEN_HOST",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; or MILLRACE_LISTEN_HOST, which the image sets to 0.0.0.0.",
)


@click.command()
@click.option("--log-level", type=_LEVELS, default="warning", show_default=True, help="From which level on to log.")
def daemon(log_level: str) -> None:
    """Run Dagster's daemons, with sensors that look every second.

    One a stack. It needs DAGSTER_HOME (see `orchestration.dagster_runtime.instance.prepare_home`) and a code server at
    MILLRACE_CODE_SERVER_HOST and MILLRACE_CODE_SERVER_PORT.
    """
    settings.load()
    _prepare(code_server=True)
    from orchestration.dagster_runtime import daemon

    daemon.run(instance.workspace_file(), log_level)


@click.command()
@click.argument("queue")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="How many runs at once, each in its own process. Default: the lanes for 'ingest', "
    f"{_ONE_WRITER} for 'aggregates', {_OTHERS} for others.",
)
@click.option("--log-level", type=_LEVELS, default="warning", show_default=True, help="From which level on to log.")
@click.option("--code", hidden=True, help="The module of the definitions, for tests.")
def worker(queue: str, concurrency: int | None, log_level: str, code: str | None) -> None:
    """Execute the runs of one queue: `ingest`, `aggregates` (new and late events), or `default` for everything else.

    One a queue and machine; more machines are more workers. On SIGTERM it finishes the runs in hand, for at most 20 s.
    """
    at_once = {"ingest": settings.load().lanes, "aggregates": _ONE_WRITER}
    _prepare(code_server=False)
    from orchestration.dagster_runtime.worker import start

    start(queue, concurrency or at_once.get(queue, _OTHERS), code, log_level)


@click.command("code-server")
@_host
@click.option("--port", envvar="MILLRACE_CODE_SERVER_PORT", type=int, default=4266, show_default=True)
def code_server(host: str, port: int) -> None:
    """Serve Millrace's code to the daemon and the web server. One a stack.

    It listens when it has loaded the code, and ends with the reason when it cannot. "Reload definitions" in the UI
    loads code that has changed since, and has the workers start again with it.
    """
    settings.load()
    _prepare(code_server=False)
    from orchestration.dagster_runtime import code_server

    code_server.start(host, port)


@click.command()
@_host
@click.option("--port", type=int, default=3000, show_default=True)
def webserver(host: str, port: int) -> None:
    """Serve Dagster's web UI, which knows no login: let only those reach it who may do everything.

    It refuses what pages of other sites make a browser ask for, and hosts that are neither loopback nor in
    MILLRACE_WEBSERVER_HOSTS.
    """
    hosts = settings.load().webserver_hosts
    _prepare(code_server=True)
    instance.write_events_in_batches()  # a run that is launched in the UI may be one of thousands of partitions
    from orchestration.dagster_runtime import webserver

    webserver.start(hosts, host, port, str(instance.workspace_file()))


def _prepare(*, code_server: bool) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background commands so. Dagster treats SIGTERM as SIGINT, and would ignore it as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    instance.make_home(os.environ)
    instance.check_environment(os.environ, code_server=code_server)
