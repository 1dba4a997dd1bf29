"""`millrace health`: whether a role does its work, for health checks.

What belongs here: which question belongs to which role, printing, exit codes. What does not: the questions
(`orchestration.dagster_runtime.health`).
"""

import os
import sys

import click

from orchestration.cli.stack_options import settings_hint
from orchestration.dagster_runtime import health as questions

_ROLES = ("webserver", "code-server", "daemon", "worker", "migrate", "produce")


@click.command()
@click.argument("role", type=click.Choice(_ROLES))
@click.argument("queue", required=False)
@click.option("--port", type=click.IntRange(1, 65_535), help="Of the web server (3000) or the code server (4266).")
def health(role: str, queue: str | None, port: int | None) -> None:
    """Ask a role of this machine whether it does its work: exit code 0 or 1, and a line that says why.

    \b
    webserver     /server_info answers
    code-server   gRPC health answers, which it does when the code is loaded
    daemon        the sensor daemon's heartbeat in PostgreSQL is younger than a minute
    worker QUEUE  the worker's parent process answers through the broker
    migrate, produce: they end by themselves; always healthy

    It takes at most about five seconds.
    """  # noqa: D301 - click's \b is that very character
    if (role == "worker") != (queue is not None):
        raise click.UsageError("a worker, and nothing else, is asked by its queue: millrace health worker ingest")
    try:
        click.echo(_ask(role, queue or "", port))
    except questions.UnhealthyError as error:
        click.echo(f"{role}: {error}", err=True)
        if str(error).endswith("is not set"):
            click.echo(settings_hint(), err=True)
        sys.exit(1)


def _ask(role: str, queue: str, port: int | None) -> str:
    if role == "webserver":
        return questions.ask_webserver(port or 3000)
    if role == "code-server":
        return questions.ask_code_server(port or int(os.environ.get("MILLRACE_CODE_SERVER_PORT") or 4266))
    if role == "daemon":
        return questions.ask_daemon(questions.required(os.environ, "MILLRACE_POSTGRES_URL"))
    if role == "worker":
        return questions.ask_worker(questions.required(os.environ, "MILLRACE_BROKER_URL"), queue)
    return "there is nothing to ask"
