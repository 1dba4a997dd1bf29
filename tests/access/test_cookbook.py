"""Every block of docs/analysts.md runs as an analyst, and what it shows is what comes out."""

import re

import pytest

from tests.access import cookbook
from tests.support.world import World, out_of_balance

pytestmark = pytest.mark.services


def test_every_block_of_the_cookbook_runs_and_shows_what_comes_out(world: World) -> None:
    url = cookbook.open_shop(world)
    text = cookbook.DOCUMENT.read_text(encoding="utf-8")
    assert cookbook.rerun(text, url) == text, "run `python -m tests.access.cookbook` and read what changed"
    assert out_of_balance(world.reconcile()) == []


def test_the_cookbook_shows_enough() -> None:
    text = cookbook.DOCUMENT.read_text(encoding="utf-8")
    assert len(re.findall(r"```sql\n.*?```\n\n```text\n", text, re.DOTALL)) >= 15
    assert "```python\n" in text
