"""The table of `millrace reconcile`: what a person reads names what it is about."""

import io

import pytest
from rich.console import Console

from assets.ingest.model import Counts
from assets.quality.reconcile import PartitionResult
from orchestration.cli.reconcile import show

LONGEST = "web." + "x" * 240 + "-end"


@pytest.mark.parametrize("width", [20, 80, 200])
@pytest.mark.parametrize("topic", ["user-events", LONGEST, "[bold]"])
def test_the_name_of_a_partition_is_whole_however_narrow_the_terminal_is(topic: str, width: int) -> None:
    found = Counts(1_000_000, 900_000, 50_000, 50_000)
    verdict = PartitionResult(topic, "id", 1234, 0, 9, 9, found, found, 7, [1], [], ["something is wrong"])
    out = io.StringIO()
    show([verdict], Console(file=out, width=width))
    [row] = [line for line in out.getvalue().splitlines() if "OUT OF BALANCE" in line]
    assert row.split()[0] == f"{topic}/1234"
    assert "1,000,000" in row
    assert "…" not in out.getvalue()
