"""The totals of the login audit's flags: each flag once, when a row newly gets it, and never less of them."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from assets.aggregates.exclusive import prepare
from assets.aggregates.login_audit import AuditRules
from assets.ingest.partitions import Partitions
from monitoring.metrics.totals import read
from resources.postgres import Connection, Postgres
from tests.aggregates.login_audit_bench import Bench, Visit
from tests.aggregates.streams import at
from tests.support.world import World, encoded

pytestmark = pytest.mark.services

FLAGS = {
    *("burst", "logout_without_login", "many_addresses_for_user", "many_users_from_address"),
    *("new_address", "new_device", "overlapping_sessions"),
}
RULES = AuditRules(
    window=timedelta(minutes=30),
    users_per_address=2,
    addresses_per_user=2,
    burst_window=timedelta(minutes=10),
    burst_logins=3,
    session=timedelta(minutes=60),
)
AGES = [*range(1, 45 * 60), *range(65 * 60, 180 * 60)]  # seconds; while a test goes on none becomes an hour old
Counts = Counter[tuple[str, str]]


@pytest.fixture
def bench(world: World) -> Iterator[Bench]:
    with Postgres(world.settings.postgres_url).connect("test") as opened:
        prepare(opened)
        yesterday = datetime.now(UTC) - timedelta(days=1)
        Partitions().ensure(opened, [int(yesterday.timestamp()) * 1_000_000], yesterday.date())
        opened.prepare_threshold = None
        yield Bench(opened, RULES)


def logins(seed: int, many: int = 120) -> list[Visit]:
    """A stream of three hours up to now, in the audit's order."""
    chance, now = random.Random(seed), datetime.now(UTC)
    return sorted(
        Visit(
            now - timedelta(seconds=chance.choice(AGES)),
            seed * 1_000 + n,
            user=chance.choice("abcdef"),
            ip=f"192.0.2.{chance.randrange(5)}",
            device=chance.choice(["phone", "tablet", "", None]),
            action=chance.choices(["login", "logout"], [4, 1])[0],
        )
        for n in range(many)
    )


def told(connection: Connection) -> Counts:
    """The totals."""
    found = read(connection).items()
    return Counter({(t.labels[0], t.labels[1]): round(n) for t, n in found if t.metric.startswith("millrace_login")})


def kinds(counts: Counts) -> Counter[str]:
    """Whatever their age."""
    found: Counter[str] = Counter()
    for (kind, _), number in counts.items():
        found[kind] += number
    return found


def in_the_table(connection: Connection) -> Counts:
    """The flags that there are, by the age of their logins."""
    return Counter(
        {
            (flag, age): number
            for flag, age, number in connection.execute(
                "select f, case when occurred_at > now() - interval '1 hour' then 'recent' else 'late' end, count(*)"
                " from analytics.login_audit, unnest(flags) as f group by 1, 2"
            )
        }
    )


def merge(bench: Bench, stream: list[Visit], cuts: list[int]) -> list[Counts]:
    """In so many transactions; the totals after each."""
    after: list[Counts] = []
    for low, high in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        bench.connection.execute("begin")
        bench.merge(stream[low:high])
        bench.connection.execute("commit")
        after.append(told(bench.connection))
    return after


@pytest.mark.parametrize("seed", range(3))
def test_without_late_events_the_totals_are_the_flags_that_there_are_however_the_stream_is_cut(
    bench: Bench, seed: int
) -> None:
    stream, chance = logins(seed), random.Random(seed)
    after = merge(bench, stream, sorted(chance.sample(range(1, len(stream)), chance.choice([0, 4, 30]))))
    assert after[-1] == in_the_table(bench.connection)
    assert {kind for kind, _ in after[-1]} == FLAGS
    assert {age for _, age in after[-1]} == {"recent", "late"}
    assert all(before <= later for before, later in pairwise(after))


@pytest.mark.parametrize("seed", range(3))
def test_late_events_take_nothing_away_from_the_totals(bench: Bench, seed: int) -> None:
    """A flag that came and went stays counted: the totals are never less than the flags that there are."""
    stream = logins(seed)
    random.Random(seed).shuffle(stream)
    after = merge(bench, stream, list(range(5, len(stream), 5)))
    assert all(before <= later for before, later in pairwise(after))
    there = kinds(in_the_table(bench.connection))
    assert there < kinds(after[-1])


def test_a_flag_that_a_late_login_takes_away_and_gives_to_another_is_counted_for_both(bench: Bench) -> None:
    now = datetime.now(UTC)
    first, late, last = (
        Visit(now - timedelta(minutes=minutes), n, device=device)
        for n, (minutes, device) in enumerate([(120, "phone"), (90, "tablet"), (10, "tablet")])
    )
    after = merge(bench, [first, last, late], [2])
    assert after[0]["new_device", "recent"] == 1
    assert after[1] - after[0] == {("new_device", "late"): 1}
    assert kinds(in_the_table(bench.connection))["new_device"] == 1


def rebuild(bench: Bench) -> None:
    now = datetime.now(UTC)
    bench.connection.execute("begin")
    bench.rebuild(now - timedelta(hours=4), now + timedelta(hours=1))
    bench.connection.execute("commit")


def test_a_rebuild_counts_only_flags_that_were_not_there(bench: Bench) -> None:
    [before] = merge(bench, logins(1), [])
    rebuild(bench)
    assert told(bench.connection) == before
    bench.connection.execute("update analytics.login_audit set flags = array_remove(flags, 'burst')")
    rebuild(bench)
    counted = told(bench.connection)
    assert kinds(counted - before) == {"burst": kinds(before)["burst"]}
    bench.connection.execute("update analytics.login_audit set flags = flags || '{new_device}' where flags = '{}'")
    rebuild(bench)
    assert told(bench.connection) == counted


def test_erasing_a_user_counts_nothing(bench: Bench) -> None:
    [before] = merge(bench, logins(2), [])
    bench.connection.execute("begin")
    bench.connection.execute("delete from raw.events where user_id = 'a'")
    bench.forget(["a"])
    bench.connection.execute("commit")
    assert told(bench.connection) == before


def test_what_rolls_back_is_not_counted(bench: Bench) -> None:
    bench.connection.execute("begin")
    bench.merge(logins(0))
    assert told(bench.connection)
    bench.connection.execute("rollback")
    assert told(bench.connection) == {}


def test_a_refresh_of_what_was_ingested_counts_it_and_a_second_one_does_not(world: World) -> None:
    now = datetime.now(UTC)
    moments = [now - timedelta(hours=5), now - timedelta(minutes=1)]
    attacks = [
        at(moment + timedelta(seconds=n), user=f"u{moment.hour}", kind="login") for moment in moments for n in range(6)
    ]
    world.produce(encoded(*attacks))
    world.ingest()
    world.refresh()
    with world.worker.postgres.connect("test") as connection:
        assert told(connection) == {("burst", "late"): 2, ("burst", "recent"): 2}
        world.refresh()
        world.aggregates.rebuild(now - timedelta(hours=6), now)
        assert told(connection) == {("burst", "late"): 2, ("burst", "recent"): 2}
