"""Everything dies at random under load, again and again, and every record is accounted for.

`make chaos` runs the long one (CHAOS_SECONDS=600, CHAOS_SEED to repeat one); `make test` a short one.
"""

import os
import random
from pathlib import Path

import pytest

from tests.system.monkey import mischief
from tests.system.system import System, system
from tests.system.test_system import MIXTURE, assert_accounted_for


def survive(whole: System, seconds: int, rate: int, seed: int) -> None:
    traffic = ("--duration", f"{seconds}s", "--rate", str(rate), *MIXTURE)
    with whole.producing(*traffic) as producing, mischief(whole, seed) as monkey:
        sent = producing.wait(seconds + 300)
    print(f"seed {seed}: {', '.join(monkey.done)}")
    assert monkey.done
    assert_accounted_for(whole, sent)


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_some_mischief_costs_nothing(whole: System) -> None:
    survive(whole, seconds=20, rate=500, seed=random.randrange(10**6))


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_mischief_for_as_long_as_it_is_wished_costs_nothing(tmp_path: Path) -> None:
    seconds = int(os.environ.get("CHAOS_SECONDS", "600"))
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(10**6)))
    with system(tmp_path) as whole:
        survive(whole, seconds, rate=1_000, seed=seed)
