"""The `millrace` command: one module a subject beside this file, imported only when its command is called.

What belongs here: arguments, printing, exit codes. What does not: the work itself, which other code can call too.
Exit codes: 0 done, 1 the answer is no (out of balance, not running, unhealthy), 2 wrong usage or settings.
"""

import importlib
import os
import sys
from typing import Any

import click
from typing_extensions import override

from orchestration.secret_files import SettingsError, take_files

# Importing Dagster takes two seconds; `millrace --help` must not pay for it.
COMMANDS = {
    "up": "stack:up",
    "down": "stack:down",
    "status": "stack:status",
    "env": "stack:env",
    "doctor": "stack:doctor",
    "psql": "psql:psql",
    "demo": "demo:demo",
    "produce": "produce:produce",
    "validate": "validate:validate",
    "send": "send:send",
    "reconcile": "reconcile:reconcile",
    "dead-letters": "dead_letters:dead_letters",
    "gaps": "gaps:gaps",
    "erase": "erase:erase",
    "backfill": "backfill:backfill",
    "bench": "bench:bench",
    "init": "init:init",
    "migrate": "migrate:migrate",
    "alertmanager-config": "alertmanager_config:alertmanager_config",
    "code-server": "processes:code_server",
    "webserver": "processes:webserver",
    "dashboard": "dashboard:dashboard",
    "daemon": "processes:daemon",
    "worker": "processes:worker",
    "health": "health:health",
}

# Those that say themselves whether a stack is up, or need none.
_WITHOUT_A_STACK = {"up", "down", "status", "env", "doctor", "demo", "validate", "init", "bench"}


class _LazyGroup(click.Group):
    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="millrace")
def _cli() -> None:
    """Millrace moves user-activity events from Kafka into PostgreSQL, exactly once.

    \b
    Start everything on this machine:   millrace up --detach
    Send it some traffic:               millrace produce --rate 1000 --duration 60s
    Prove that nothing is missing:      millrace reconcile
    Ask the tables:                     millrace psql --analyst
    Reach it with your own tools:       eval "$(millrace env)"
    """  # noqa: D301 - click's \b is that very character
    take_files(os.environ)


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; settings that are wrong are printed line by line and end it with exit code 2."""
    try:
        return _cli(argv)
    except SettingsError as error:
        click.echo(f"millrace cannot start, these settings need attention:\n{error}", err=True)
        if " is not set" in str(error):
            from orchestration.cli.stack_options import settings_hint

            click.echo(settings_hint(), err=True)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code not in (None, 0) and (argv or sys.argv[1:] or [""])[0] not in _WITHOUT_A_STACK:
            from orchestration.cli.stack_options import gone_hint

            if hint := gone_hint():
                click.echo(hint, err=True)
        raise
