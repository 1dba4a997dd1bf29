"""Options that the commands about the embedded stack share, and what they do when something cannot be done.

What belongs here: arguments and exit codes. What does not: the commands (`stack`).
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from infra.local.services import LocalError

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT = Path(".millrace")
# Of what an error text advises: commands of ours, and options of the command that failed.
_COMMAND = re.compile(r"(?<![\w/.-])millrace (up|down|status|env|doctor|psql|migrate|backfill|gaps|send)\b")
_OF_A_STACK = ("up", "down", "status", "env", "doctor", "psql")
_OPTION = re.compile(r"--(?:free-ports|data-dir DIR|port [a-z-]+=\d+)")
_Command = Callable[..., Any]


def _absolute(_context: click.Context, _parameter: click.Parameter, value: Path) -> Path:
    return value.expanduser().resolve()


def _ports(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for pair in (pair.strip() for value in values for pair in value.split(",") if pair.strip()):
        name, _, number = pair.partition("=")
        if not number.isdecimal() or not 0 < int(number) < 65536:
            raise click.BadParameter(f"{pair!r}: expected NAME=PORT, for example webserver=3001")
        found[name] = int(number)
    return found


def with_data_dir(command: _Command) -> _Command:
    """Give a command the argument `data_dir`, an absolute path."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        envvar="MILLRACE_DATA_DIR",
        default=DEFAULT,
        show_default=True,
        callback=_absolute,
        help="Where the stack keeps its data, settings and logs. [env: MILLRACE_DATA_DIR]",
    )(command)


def with_ports(command: _Command) -> _Command:
    """Give a command the arguments `ports`, by name, and `free_ports`."""
    which = click.option(
        "--port",
        "ports",
        multiple=True,
        metavar="NAME=PORT",
        envvar="MILLRACE_PORTS",
        callback=_ports,
        help="Another port for one of the programs, for example webserver=3001. May be repeated; remembered. "
        "[env: MILLRACE_PORTS, separated by commas]",
    )
    any_free = click.option("--free-ports", is_flag=True, help="Take any free ports, and remember them.")
    return which(any_free(command))


def with_json(command: _Command) -> _Command:
    """Give a command the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


@contextmanager
def refusals() -> Generator[None]:
    """Print what cannot be done, instead of a traceback."""
    try:
        yield
    except LocalError as error:
        click.echo(spelled(str(error)), err=True)
        if options := _OPTION.findall(str(error)):
            click.echo(f"as in: {_again(options[-1].replace('DIR', '~/millrace-data'))}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)


def spelled(text: str) -> str:
    """A text with its commands as they work at this prompt: with the path of `millrace` where the PATH has none."""
    context = click.get_current_context(silent=True)
    given = context is not None and context.get_parameter_source("data_dir") is ParameterSource.COMMANDLINE
    where = f" --data-dir {shlex.quote(str(context.params['data_dir']))}" if context is not None and given else ""
    return _COMMAND.sub(lambda found: f"{called()} {found[1]}{where if found[1] in _OF_A_STACK else ''}", text)


def _again(option: str) -> str:
    """The command that was given, with one more option; for who called `make`, as make takes it."""
    name, *words = sys.argv[1:] or ["up"]
    if option.startswith("--data-dir") and "--data-dir" in words:
        at = words.index("--data-dir")
        words = words[:at] + words[at + 2 :]
    if make := os.environ.get("MILLRACE_CALLED_BY"):
        return f'{make} ARGS="{" ".join([*map(shlex.quote, words), option])}"'
    return " ".join([called(), name, *map(shlex.quote, words), option])


def called() -> str:
    """How a person at this prompt calls `millrace`: by its name where that works, else by its path from here."""
    if shutil.which("millrace"):
        return "millrace"
    script = Path(sys.executable).with_name("millrace")
    try:
        return shlex.quote(str(script.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(script))


def settings_hint() -> str:
    """What to do where settings are missing: the same for every command."""
    from infra.local import state

    take_over = f'eval "$({called()} env)"'
    directory = Path(os.environ.get("MILLRACE_DATA_DIR") or DEFAULT).expanduser().resolve()
    if state.supervisor(directory):
        return f"a stack is up in {directory}; to take its settings over: {take_over}"
    return f"to start a stack on this machine and reach it: {called()} up --detach, then {take_over}"


def gone_hint() -> str:
    """What to do where a command failed on the settings of a stack that is not up; empty for all other settings."""
    from infra.local import state

    directory = Path(os.environ.get("MILLRACE_DATA_DIR") or DEFAULT).expanduser().resolve()
    known = state.environment(directory)
    names = ("MILLRACE_POSTGRES_URL", "MILLRACE_KAFKA_BOOTSTRAP_SERVERS")
    is_its = any(name in known and os.environ.get(name) == known[name] for name in names)
    if not is_its or state.supervisor(directory):
        return ""
    return f"these are the settings of the stack in {directory}, which is not up; start it: {called()} up --detach"


def make_console() -> "Console":
    """The terminal; what goes to a file or a pipe is not cut to eighty columns."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200)
