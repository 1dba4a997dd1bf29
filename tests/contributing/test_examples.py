"""The worked examples of CONTRIBUTING.md: followed in a copy of the repository, patch by patch, command by command."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".millrace", ".hypothesis", "__pycache__", ".*_cache", ".env", "secrets"
)


NESTED = "Add an event type with amounts, a list and bounds of its own"
TITLES = ["Add an event type", NESTED, "Add an aggregate", "Add a panel", "Add an alert"]


def section(title: str) -> str:
    """The text under a heading."""
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return found


def blocks(title: str) -> list[tuple[str, str]]:
    """The language and the content of each block of code in a section, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository without its history, with the environment that is there."""
    made = tmp_path / "millrace"
    shutil.copytree(ROOT, made, ignore=LEFT_OUT)
    (made / ".venv").mkdir()
    for each in (ROOT / ".venv").iterdir():
        (made / ".venv" / each.name).symlink_to(each)
    (made / ".venv" / ".installed").unlink()
    (made / ".venv" / ".installed").touch()  # newer than all that it depends on: nothing is installed anew
    return made


def run(copy: Path, command: list[str], given: str | None = None) -> None:
    """Run something in the copy; it fails with what was said."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in (
        "PYTEST_ADDOPTS",
        "ARGS",
        "MAKEFLAGS",
        "MAKEOVERRIDES",
        "MAKELEVEL",
    ):  # of the make that runs this test
        environment.pop(name, None)
    done = subprocess.run(
        command, cwd=copy, env=environment, input=given, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-6000:]}{done.stderr[-3000:]}"


def follow(copy: Path, title: str) -> list[str]:
    """Do what a section says; the languages of its blocks, in order."""
    for language, content in blocks(title):
        if language == "diff":
            run(copy, ["git", "apply", "-"], content)
        elif language == "sql":
            run(copy, [".venv/bin/sqlfluff", "parse", "--dialect", "postgres", "-"], content)
        else:
            assert language == "sh", "a block that nobody follows"
            run(copy, ["bash", "-euo", "pipefail", "-c", content])
    return [language for language, _ in blocks(title)]


@pytest.mark.parametrize("title", TITLES)
def test_the_patch_of_an_example_still_fits(title: str) -> None:
    [patch] = [content for language, content in blocks(title) if language == "diff"]
    run(ROOT, ["git", "apply", "--check", "-"], patch)


@pytest.mark.examples
def test_an_event_type_is_added_as_the_text_says(copy: Path) -> None:
    assert follow(copy, "Add an event type") == ["diff", "sh"]
    assert (copy / "schemas" / "video_watch.schema.json").is_file()
    assert "video_watches" in (copy / "docs" / "tables.md").read_text(encoding="utf-8")
    # What is beyond the text: counts that a test has by hand would be red now.
    red = ["tests/access/test_role.py", "tests/access/test_views.py"]
    run(copy, [".venv/bin/pytest", "-q", *red, "-k", "every_view or raw_events or second_migrate"])


@pytest.mark.examples
def test_a_type_with_nested_values_is_added_as_the_text_says(copy: Path) -> None:
    assert follow(copy, NESTED) == ["diff", "sh", "sql"]
    assert "`items[].sku` | text | yes | no | 1 to 64 bytes" in (copy / "docs" / "events.md").read_text(
        encoding="utf-8"
    )
    assert "### `analytics.orders`" in (copy / "docs" / "tables.md").read_text(encoding="utf-8")


@pytest.mark.examples
def test_an_aggregate_is_added_as_the_text_says(copy: Path) -> None:
    assert follow(copy, "Add an aggregate") == ["diff", "sh", "sh"]
    written = (copy / "docs" / "tables.md").read_text(encoding="utf-8")
    assert "devices_hourly" in written
    assert "devices_daily" in written


@pytest.mark.examples
def test_a_panel_is_added_as_the_text_says(copy: Path) -> None:
    before = (copy / "monitoring/grafana/dashboards/security.json").read_text(encoding="utf-8")
    assert follow(copy, "Add a panel") == ["diff", "sh"]
    after = (copy / "monitoring/grafana/dashboards/security.json").read_text(encoding="utf-8")
    numbers = [set(re.findall(r'^      "id": (\d+)', text, re.MULTILINE)) for text in (before, after)]
    assert numbers[0] < numbers[1], "no panel that was there has another number now"
    assert len(numbers[1] - numbers[0]) == 2, "the panel and its headline"


@pytest.mark.examples
def test_an_alert_is_added_as_the_text_says(copy: Path) -> None:
    assert follow(copy, "Add an alert") == ["diff", "sh"]
