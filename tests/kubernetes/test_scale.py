"""The arithmetic of docs/scale.md comes out of the formulas beside it and of the measured figures."""

import math
import re
from collections.abc import Callable

import pytest

from tests.kubernetes.manifests import ROOT

TEXT = (ROOT / "docs" / "scale.md").read_text()
RATES = (1_000, 10_000, 100_000, 1_000_000)
DAY = 86_400
FORMULAS: dict[str, Callable[[float], float]] = {
    "events a day": lambda e: DAY * e / 1e6,
    "lanes, half loaded at the peak": lambda e: math.ceil(3 * e / 32_500),
    "cores of ingest workers at the peak": lambda e: 3 * e * 10e-6,
    "cores of PostgreSQL for ingest at the peak": lambda e: 3 * e * 5e-6,
    "Redis' one thread at the peak": lambda e: 100 * 3 * e * 1.5e-6,
    "Redis' memory, window 1 h, at most": lambda e: 2 * 111 * 3_600 * e / 1e9,
    "aggregates' one writer over the day": lambda e: 100 * e / 20_000,
    "raw events a day": lambda e: (228 + 100) * DAY * e / 1e9,
    "raw events, 30 days kept": lambda e: 30 * (228 + 100) * DAY * e / 1e12,
    "WAL a day": lambda e: (399 + 299) * DAY * e / 1e9,
    "WAL a second at the peak": lambda e: (399 + 299) * 3 * e / 1e6,
}


@pytest.mark.parametrize("row", FORMULAS)
def test_a_row_of_the_table_is_its_formula(row: str) -> None:
    found = re.search(rf"^\| {re.escape(row)} \|[^|]*\|(.*)\|$", TEXT, re.MULTILINE)
    assert found is not None
    cells = [re.sub(r"[^\d.]", "", cell) for cell in found[1].split("|")]
    for rate, cell in zip(RATES, cells, strict=True):
        places = len(cell.partition(".")[2])
        assert float(cell) == pytest.approx(FORMULAS[row](rate), abs=0.51 * 10**-places)


def test_every_row_of_the_table_is_held() -> None:
    table = TEXT.split("## The arithmetic")[1].split("\n\n")[2]
    assert {line.split("|")[1].strip() for line in table.splitlines()[2:]} == set(FORMULAS)


@pytest.mark.parametrize("figure", ["228 in the tables, 100 in their indexes", "399 (with", "299", "61,528 events/s"])
def test_the_measured_figures_are_those_of_the_benchmarks(figure: str) -> None:
    assert figure in (ROOT / "docs" / "benchmarks.md").read_text()
