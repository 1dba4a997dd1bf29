"""`millrace up`, `down`, `status`, `env` and `doctor`: the embedded stack.

What belongs here: the commands. What does not: the stack itself (`infra.local`), what runs on it (`programs`) and how
it looks (`stack_view`). What only some of them need is imported by those: `env` is called by scripts, and is quick.
"""

import json
import shlex
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.local import state
from orchestration.cli.stack_options import make_console, refusals, spelled, with_data_dir, with_json, with_ports

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["doctor", "down", "env", "refusals", "running", "status", "up", "with_data_dir", "with_ports"]


@click.command()
@with_data_dir
@with_ports
@click.option("--detach", is_flag=True, help="Return when everything is ready, and leave it running.")
@click.option("--restart", is_flag=True, help="Bring a stack that is up down first: for changed settings or code.")
def up(data_dir: Path, ports: dict[str, int], free_ports: bool, detach: bool, restart: bool) -> None:
    """Start everything on this machine: PostgreSQL, Redis, Kafka, Dagster, its workers, and Prometheus.

    Without --detach it stays, and Ctrl-C brings everything down. A stack that is up already is left as it is; if it was
    started with other settings than this shell's, or with other code, that is said.
    """
    from orchestration.cli import stack_running

    console = make_console()
    with refusals():
        if restart and state.supervisor(data_dir):
            stack_running.bring_down_to_restart(console, data_dir)
        if detach:
            stack_running.bring_up(console, data_dir, ports, any_free=free_ports)
            return
        with stack_running.running(console, data_dir, ports, any_free=free_ports) as is_ours:
            if is_ours:
                stack_running.watch(console, data_dir)


@click.command()
@with_data_dir
@click.option("--wipe", is_flag=True, help="Remove the data as well: events, topics, everything.")
@click.option("--yes", is_flag=True, help="Do not ask before removing.")
def down(data_dir: Path, wipe: bool, yes: bool) -> None:
    """Stop everything, also what a crash has left behind."""
    from infra.local import stack as stacks
    from orchestration.cli import stack_running

    if not data_dir.exists():
        click.echo(f"nothing runs in {data_dir}")
        return
    if wipe and not yes:
        click.confirm(f"Remove all data in {data_dir}?", abort=True)
    with refusals():
        stack_running.bring_down(make_console(), data_dir)
        if wipe:
            stacks.wipe(data_dir)
            click.echo("its data is removed")


@click.command()
@with_data_dir
@with_json
def status(data_dir: Path, as_json: bool) -> None:
    """Show every program (state, pid, port, log) and the pages to open. Exit code 0 when all of them run, else 1.

    Where no supervisor runs, after a crash say, it names the processes that were left behind.
    """
    from infra.local import observe, processes
    from orchestration.cli import stack_view

    with refusals():
        rows = observe.rows(data_dir)
    is_well = bool(rows) and all(row.runs for row in rows or [])
    if as_json:
        pages = stack_view.pages(state.load(data_dir)) if rows else {}
        answer = {"data_dir": str(data_dir), "up": is_well, "supervisor": state.supervisor(data_dir), "pages": pages}
        left = [process.pid for process in processes.find(data_dir)] if rows is None else []
        listed = [asdict(row) for row in rows or []]
        click.echo(json.dumps({**answer, "programs": listed, "without_supervisor": left}, indent=2))
    elif rows is None:
        click.echo(spelled(_not_up(data_dir)))
    else:
        console = make_console()
        console.print(stack_view.table(rows))
        for name, text in stack_view.pages(state.load(data_dir)).items():
            console.print(f"{name}: {text}", highlight=False, soft_wrap=True)
    sys.exit(0 if is_well else 1)


def _not_up(data_dir: Path) -> str:
    """Why there is nothing to show, and what to do; processes that nobody supervises are said."""
    from infra.local import processes

    if left := processes.find(data_dir):
        what = f"{processes.summary(left)} run in {data_dir} without a supervisor"
        return f"{what}; to end them: millrace down; to start anew, which ends them too: millrace up --detach"
    return f"no stack is up in {data_dir}; start one: millrace up --detach"


@click.command()
@with_data_dir
@with_json
def env(data_dir: Path, as_json: bool) -> None:
    """Print the settings that reach the running stack: eval "$(millrace env)"."""
    found = state.environment(data_dir) if state.supervisor(data_dir) else {}
    if not found:
        click.echo(spelled(_not_up(data_dir)), err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command()
@with_data_dir
@with_json
def doctor(data_dir: Path, as_json: bool) -> None:
    """Look whether this machine can run the stack, and whether a running one answers and reads; say what to do.

    Exit code 0 when nothing failed; warnings do not count.
    """
    from infra.local import doctor as checks
    from orchestration.cli import doctor as deployment
    from orchestration.cli import programs, stack_view

    found = chain(checks.examine(data_dir, programs.application()), deployment.of_stack(data_dir))
    if as_json:
        listed = list(found)
        click.echo(json.dumps([asdict(finding) for finding in listed], indent=2))
        is_well = all(finding.level != "FAIL" for finding in listed)
    else:
        is_well = stack_view.findings(make_console(), found)
    sys.exit(0 if is_well else 1)


def running(
    console: "Console", data_dir: Path, ports: dict[str, int], *, any_free: bool = False
) -> AbstractContextManager[bool]:
    """As `stack_running.running`, for other commands; here it costs nothing to import."""
    from orchestration.cli import stack_running

    return stack_running.running(console, data_dir, ports, any_free=any_free)
