"""`millrace gaps`: what it prints, what it asks, and how it ends."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.ingest.pull import PartitionsUnreadable
from orchestration.cli.gaps import gaps
from tests.dead_letters.support import environment
from tests.ingest.test_unreadable import three_batches
from tests.support.world import World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


def command(world: World, *arguments: str, **more: str) -> Result:
    return CliRunner().invoke(gaps, arguments, env=environment(world, **more))


def give_up(world: World, *arguments: str, **more: str) -> Result:
    return command(world, "give-up", "--topic", world.topic, "--partition", "0", *arguments, **more)


@pytest.fixture
def stuck(world: World) -> World:
    """Partition 0 stands at offset 3, whose batch is damaged, and can be read from 6 on."""
    three_batches(world)
    with pytest.raises(PartitionsUnreadable):
        world.ingest()
    return world


def state(world: World) -> tuple[Any, ...]:
    """Everything that giving up changes."""
    return (
        world.query("select partition, next_offset from ops.offsets order by partition"),
        world.query("select start_offset, end_offset, reason from ops.gaps"),
        world.query("select action, subject from ops.audit_log"),
    )


def test_without_gaps_it_says_so_and_ends_well(world: World) -> None:
    answer = command(world, "list")
    assert (answer.exit_code, answer.output) == (0, "no gaps, and every partition can be read\n")
    answer = command(world, "list", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)) == (0, {"unreadable": [], "gaps": []})


def test_list_names_the_partition_the_offset_and_the_error_and_ends_with_one(stuck: World) -> None:
    answer = command(stuck, "list")
    assert answer.exit_code == 1
    assert f": {stuck.topic}/0 at offset 3: BAD_MSG: " in answer.output
    answer = command(stuck, "list", "--json")
    [found] = json.loads(answer.stdout)["unreadable"]
    assert answer.exit_code == 1
    assert (found["topic"], found["partition"], found["at_offset"]) == (stuck.topic, 0, 3)
    assert found["error"].startswith("BAD_MSG: ")
    assert found["since"]


def test_a_dry_run_says_what_would_be_given_up_and_changes_nothing(stuck: World) -> None:
    before = state(stuck)
    answer = give_up(stuck, "--dry-run")
    said = f"would give up {stuck.topic}/0: offsets 3 to 5, 3 in all\n"
    assert (answer.exit_code, answer.stdout) == (0, said)
    answer = give_up(stuck, "--dry-run", "--json")
    assert json.loads(answer.stdout) == {
        "topic": stuck.topic,
        "partition": 0,
        "from": 3,
        "until": 6,
        "offsets": 3,
        "done": False,
    }
    assert state(stuck) == before


def test_giving_up_is_told_listed_and_lets_ingest_go_on(stuck: World) -> None:
    answer = give_up(stuck, "--yes", "--json")
    made = json.loads(answer.stdout)
    assert (answer.exit_code, made["done"], made["from"], made["until"]) == (0, True, 3, 6)
    assert made["run"].startswith("give-up-")
    stuck.ingest()
    answer = command(stuck, "list")
    assert answer.exit_code == 0
    assert f"{stuck.topic}/0  3 to 6  unreadable" in answer.output
    [gap] = json.loads(command(stuck, "list", "--json").stdout)["gaps"]
    assert (gap["start"], gap["end"], gap["reason"]) == (3, 6, "unreadable")
    assert json.loads(command(stuck, "list", "--json", "--limit", "0").stdout)["gaps"] == []
    assert out_of_balance(stuck.reconcile()) == []


def test_where_nobody_can_be_asked_it_wants_a_yes_and_changes_nothing(stuck: World) -> None:
    before = state(stuck)
    answer = give_up(stuck)
    assert (answer.exit_code, "--yes" in answer.stderr) == (2, True)
    assert state(stuck) == before


@pytest.mark.parametrize("until", ["3", "10"])
def test_a_range_that_is_none_is_refused_with_the_one_that_there_is(stuck: World, until: str) -> None:
    answer = give_up(stuck, "--until", until, "--yes")
    expected = f"--until: expected an offset above 3 and up to 9, the end of the log; found {until}\n"
    assert (answer.exit_code, answer.stderr) == (1, expected)


def test_until_may_be_said(stuck: World) -> None:
    answer = give_up(stuck, "--until", "6", "--yes")
    assert (answer.exit_code, answer.stdout) == (0, f"gave up {stuck.topic}/0: offsets 3 to 5, 3 in all\n")


@pytest.mark.parametrize("more", [(), ("--until", "2"), ("--dry-run",)])
def test_what_can_be_read_is_not_given_up(world: World, more: tuple[str, ...]) -> None:
    world.produce(encoded(event(), event()))
    answer = give_up(world, "--yes", *more)
    assert answer.exit_code == 1
    assert f"{world.topic}/0 can be read at offset 0: nothing to give up" in answer.stderr
    assert world.query("select * from ops.gaps") == []


def test_a_partition_that_there_is_not_is_told(world: World) -> None:
    answer = command(world, "give-up", "--topic", world.topic, "--partition", "7", "--yes")
    assert answer.exit_code == 1
    assert f"no partition 7 of topic {world.topic}: millrace gaps list" in answer.stderr


@pytest.mark.parametrize(
    "wrong", [("--partition", "-1"), ("--partition", "x"), ("--until", "0"), ("--topic",), ("--nonsense",)]
)
def test_wrong_arguments_end_with_two(world: World, wrong: tuple[str, ...]) -> None:
    assert give_up(world, *wrong).exit_code == 2


def test_a_service_that_does_not_answer_is_named_with_its_setting(world: World) -> None:
    nowhere = {"MILLRACE_POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/none"}
    for answer in (command(world, "list", **nowhere), give_up(world, "--yes", **nowhere)):
        assert (answer.exit_code, "MILLRACE_POSTGRES_URL" in answer.stderr) == (2, True)
    answer = give_up(world, "--yes", MILLRACE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (answer.exit_code, "MILLRACE_KAFKA_BOOTSTRAP_SERVERS" in answer.stderr) == (2, True)
