"""Whatever is done in whatever order: totals only grow, and add up to what SQL says and what was taken away."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from assets.dead_letters.discard import discard
from assets.dead_letters.selection import Selection
from assets.ingest.plan import OffsetRange
from assets.ingest.worker import InjectedFailure
from assets.quality.reconcile import reconcile
from assets.upkeep.ledger_history import LedgerHistory, fold_ledger
from orchestration.factories import make_worker
from tests.dead_letters.support import TODAY, redriven
from tests.erasure.support import erase
from tests.ingest.test_replay import replayed
from tests.metrics.counting import grown, ingested, ledger, observed, of, outcome, read, some, the_plan
from tests.support.world import World, out_of_balance

pytestmark = pytest.mark.services


def test_whatever_is_done_totals_only_grow_and_add_up(world: World) -> None:
    journey = _Journey(world, random.Random(10))
    for step in journey.steps():
        before = read(world)
        step()
        grown(before, read(world))
        journey.adds_up()
    assert journey.folded > 0
    today = make_worker(world.settings, TODAY)
    assert out_of_balance(reconcile(today.kafka, today.postgres, today.decoder, (world.topic,))) == []


class _Journey:
    """Operations in an order of chance, and what they took away."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.plans: list[tuple[OffsetRange, ...]] = []
        self.events_gone = self.dead_letters_gone = self.folded = 0

    def steps(self) -> list[Callable[[], None]]:
        """Everything at least once, in an order of chance but for the start."""
        more = [self.replay, self.fail, self.again, self.redrive, self.erase, self.discard, self.fold, self.ingest]
        chosen = more + self.chance.choices(more, k=6)
        self.chance.shuffle(chosen)
        return [self.ingest, self.ingest, *chosen]

    def ingest(self) -> None:
        self.world.produce(some(self.chance, 40))
        self.plans.append(the_plan(self.world))
        ingested(self.world, self.plans[-1], chunk_events=30)

    def again(self) -> None:
        self.world.ingest(ranges=self.chance.choice(self.plans))

    def replay(self) -> None:
        ranges = self.chance.choice(self.plans)
        replayed(self.world, ranges, "nobody", contract=self.chance.choice([TODAY, None]))

    def fail(self) -> None:
        self.world.produce(some(self.chance, 10))
        self.plans.append(the_plan(self.world))
        self.world.set_failpoint("before_commit.fail")
        with pytest.raises(InjectedFailure):
            self.world.ingest(ranges=self.plans[-1])
        self.world.ingest(ranges=self.plans[-1])

    def redrive(self) -> None:
        redriven(self.world)

    def discard(self) -> None:
        discard(self.world.worker.postgres, Selection(codes=("not_json",)), "garbage")

    def erase(self) -> None:
        erased = erase(self.world, self.chance.choice(["u1", "u2"]))
        self.events_gone += erased.events
        self.dead_letters_gone += erased.letters

    def fold(self) -> None:
        self.world.refresh()  # books are closed behind what the aggregates hold
        before = read(self.world)
        later = datetime.now(UTC) + timedelta(days=8)
        self.folded += fold_ledger(self.world.worker.postgres, LedgerHistory(), "upkeep", later).batches
        assert read(self.world) == before

    def adds_up(self) -> None:
        world = self.world
        assert sum(outcome(world, "stored").values()) == self.events_gone + world.one("select count(*) from raw.events")
        dead_letters = self.dead_letters_gone + world.one("select count(*) from raw.dead_letters")
        assert sum(outcome(world, "dead_letter").values()) == dead_letters
        assert sum(of(world, "millrace_rejections_total").values()) == dead_letters
        duplicates = sum(outcome(world, "duplicate").values())
        assert duplicates == sum(of(world, "millrace_duplicates_total").values())
        assert duplicates >= ledger(world, "duplicates_redis + duplicates_postgres")
        assert sum(outcome(world, "erased").values()) >= ledger(world, "erased")
        assert sum(outcome(world, "tombstone").values()) == ledger(world, "tombstones")
        steps = observed(world, "millrace_batch_seconds").values()
        assert set(steps) == {of(world, "millrace_batches_total")[("committed",)]}
