"""The runbook: a section for each alert, and every command in it is one that there is."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orchestration import cli
from tests.monitoring.rules import alerts
from tests.support.world import World, encoded, event

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
TEXT = RUNBOOK.read_text(encoding="utf-8")
PARTS = ("What it means.", "Look.", "Do.", "Wake", "Ends")


def sections() -> dict[str, str]:
    """The sections of alerts by their headings."""
    found = re.split(r"^## +(.+)\n", TEXT, flags=re.MULTILINE)
    return {name: text for name, text in zip(found[1::2], found[2::2], strict=True) if name.startswith("Millrace")}


def blocks(language: str) -> list[str]:
    """The blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[str]:
    """Every `millrace` command that the runbook shows, in blocks and in its text."""
    inline = re.findall(r"`(millrace [^`]+)`", re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL))
    shown = [line for block in blocks("sh") for line in block.splitlines()]
    for line in [*shown, *inline]:
        told = line.partition("  #")[0]
        for part in [*re.findall(r"\$\((.*?)\)", told), *re.split(r"&&|\|", re.sub(r"\$\(.*?\)", "", told))]:
            if (command := part.strip()).startswith("millrace "):
                yield command


def parsed(command: str) -> list[str]:
    """The names of a command and its subcommands, if click takes all of it.

    Raises:
        click.ClickException: it does not.
    """
    found: click.Command = cli._cli  # pyright: ignore[reportPrivateUsage] - `main` is no click command
    arguments, names = shlex.split(command)[1:], list[str]()
    while isinstance(found, click.Group):
        name, *arguments = arguments
        child = found.get_command(click.Context(found), name)
        if child is None:
            raise click.UsageError(f"no such command: {name}")
        found, names = child, [*names, name]
    found.make_context(" ".join(names), arguments)
    return names


def test_each_alert_has_a_section_and_each_section_an_alert() -> None:
    assert sorted(sections()) == sorted(alerts())


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_a_section_says_what_it_means_what_to_look_at_what_to_do_whom_to_wake_and_how_it_ends(alert: str) -> None:
    found = re.findall(r"^\*\*(.+?)\*\*", sections()[alert], re.MULTILINE)
    assert tuple(found) == PARTS
    assert "```" in sections()[alert], "something to paste"


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_every_millrace_command_of_the_runbook_is_one_that_there_is(command: str) -> None:
    assert parsed(command)


@pytest.mark.parametrize(
    "command", ["millrace reconsile", "millrace reconcile --for 3m", "millrace dead-letters list --code"]
)
def test_a_command_that_there_is_not_is_found(command: str) -> None:
    with pytest.raises(click.ClickException):
        parsed(command)


def test_the_runbook_shows_enough_commands() -> None:
    used = {command.split()[1] for command in commands()}
    assert used >= {"status", "doctor", "env", "reconcile", "dead-letters", "backfill", "down", "up", "worker"}


@pytest.mark.services
def test_every_query_of_the_runbook_runs(world: World) -> None:
    world.produce([*encoded(event(), event(kind="login"), event()), b"garbage"])
    world.ingest()
    for block in blocks("sql"):
        for query in filter(str.strip, block.split(";")):
            world.query(query.replace("%", "%%"))  # it raises what PostgreSQL says


def test_links_within_the_runbook_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings
    files = set(re.findall(r"\]\(([^)#]+)\)", TEXT))
    assert {name for name in files if not (RUNBOOK.parent / name).exists()} == set()


def test_settings_that_the_runbook_names_exist() -> None:
    settings = set(re.findall(r"`(MILLRACE_[A-Z_]+)`", (RUNBOOK.parent / "settings.md").read_text(encoding="utf-8")))
    told_by_the_stack = {"MILLRACE_PROMETHEUS_URL"}
    told_by_processes = {"MILLRACE_CODE_SERVER_HOST", "MILLRACE_CODE_SERVER_PORT"}
    assert set(re.findall(r"MILLRACE_[A-Z_]+[A-Z]", TEXT)) <= settings | told_by_the_stack | told_by_processes
