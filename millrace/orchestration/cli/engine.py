"""`millrace daemon` and `millrace worker`: the processes of Dagster that are ours.

What belongs here: their arguments. What does not: how they work (`orchestration.engine`). The web server and the code
server are Dagster's own commands.
"""

import os

import click

from millrace.orchestration import settings
from millrace.orchestration.engine import instance

_LEVELS = click.Choice(["debug", "info", "warning", "error"])
_OTHERS = 2
_ONE_WRITER = 1


@click.command()
@click.option("--log-level", type=_LEVELS, default="warning", show_default=True, help="From which level on to log.")
def daemon(log_level: str) -> None:
    """Run Dagster's daemons, with sensors that tick every second.

    One a stack. It needs DAGSTER_HOME (see `millrace.orchestration.engine.instance.prepare_home`) and a code server at
    MILLRACE_CODE_SERVER_HOST and MILLRACE_CODE_SERVER_PORT.
    """
    settings.load()
    instance.check_environment(os.environ, code_server=True)
    from millrace.orchestration.engine import daemon

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
    instance.check_environment(os.environ, code_server=False)
    from millrace.orchestration.engine.worker import start

    start(queue, concurrency or at_once.get(queue, _OTHERS), code, log_level)
