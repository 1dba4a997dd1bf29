"""`millrace erase` as a person and as a script call it."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.aggregates.writer import AggregateWriter
from assets.erasure import erasure_offsets
from assets.ingest import corrections
from orchestration.cli.erase import erase
from tests.erasure.support import SECRET, of, traces
from tests.support.world import World, encoded

pytestmark = pytest.mark.services


def run(world: World, *arguments: str, stdin: str = "", **environment: str) -> Result:
    """Call the command."""
    own = {
        **world.services.environment,
        "MILLRACE_POSTGRES_URL": world.settings.postgres_url,
        "MILLRACE_KAFKA_TOPICS": world.topic,
        **environment,
    }
    return CliRunner().invoke(erase, arguments, input=stdin, env=own)


def test_a_dry_run_counts_and_changes_nothing(world: World) -> None:
    world.produce([*encoded(of(SECRET), of(SECRET)), b'{"u": "' + SECRET.encode() + b'"}'])
    world.ingest()
    world.refresh()
    done = run(world, "--user", SECRET, "--dry-run", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"users": 1, "events": 2, "sessions": 1, "letters": 1}
    assert traces(world)


def test_ids_come_by_standard_input_and_are_never_printed(world: World) -> None:
    world.produce(encoded(of(SECRET), of("second-secret"), of("other")))
    world.ingest()
    done = run(world, "--user", "-", "--yes", "--json", stdin=f"{SECRET}\nsecond-secret\n\n")
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    assert [each["events"] for each in found["erased"]] == [1, 1]
    assert found["failed"] == 0
    assert "secret" not in done.output
    assert world.query("select user_id from raw.events") == [("other",)]


def test_a_list_erases_who_is_on_it_and_says_which_lines_matched_nothing(world: World) -> None:
    meant = f"{SECRET}\u2028second-secret"
    world.produce(encoded(of(SECRET), of("second-secret"), of(meant), of("first")))
    world.ingest()
    done = run(world, "--user", "-", "--yes", "--json", stdin=f"\ufefffirst\n{meant}\nnobody\n")
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    assert [each["events"] for each in found["erased"]] == [1, 1, 0]
    assert found["matched_nothing"] == [3]
    assert "secret" not in done.output
    assert world.query("select user_id from raw.events order by 1") == [("second-secret",), (SECRET,)]


def test_a_list_asks_kafka_once_pauses_the_ingest_once_and_refreshes_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for owner, name in ((erasure_offsets, "ends"), (corrections, "changing_rules"), (AggregateWriter, "refresh")):
        kept = getattr(owner, name)

        def counted(*given: Any, kept: Any = kept, name: str = name, **named: Any) -> Any:
            asked.append(name)
            return kept(*given, **named)

        monkeypatch.setattr(owner, name, counted)
    users = [f"user-{n}" for n in range(30)]
    world.produce(encoded(*(of(user) for user in users)))
    world.ingest()
    done = run(world, "--user", "-", "--yes", "--json", stdin="\n".join(users))
    assert [each["events"] for each in json.loads(done.stdout)["erased"]] == [1] * 30
    assert sorted(asked) == ["changing_rules", "ends", "refresh"]
    assert world.one("select count(*) from raw.events") == 0


def test_it_says_what_it_cannot_reach(world: World) -> None:
    said = run(world, "--user", SECRET, "--yes").output
    for what in ("Kafka still holds", "Backups", "Redis"):
        assert what in said


def test_nobody_is_erased_without_being_asked_or_yes(world: World) -> None:
    assert run(world, "--user", SECRET).exit_code == 2
    assert run(world, "--user", "-", "--yes", stdin="\n").exit_code == 2
    assert world.one("select count(*) from ops.erasures") == 0


def test_without_kafka_it_refuses_and_says_how_to_go_on(world: World) -> None:
    done = run(world, "--user", SECRET, "--yes", MILLRACE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.exit_code == 2
    assert "--offline" in done.stderr
    assert world.one("select count(*) from ops.erasures") == 0
