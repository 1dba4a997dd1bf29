"""The doctor names what cannot be read and what nobody reads, and says what to do."""

from pathlib import Path

import pytest

from infra.local.preflight import Finding
from orchestration.cli.doctor import of_stack
from orchestration.cli.doctor.reading import examine
from tests.metrics.support import leave_out, withhold
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services


def found(world: World, **changes: object) -> list[Finding]:
    return list(examine(world.settings.model_copy(update={"kafka_topics": (world.topic,), **changes})))


def test_all_is_well_where_all_can_be_read(world: World) -> None:
    world.produce(encoded(event()))
    assert [(f.name, f.level) for f in found(world)] == [("partitions", "OK")]


def test_a_partition_that_cannot_be_read_fails_with_its_offset_and_error_and_the_way_on(world: World) -> None:
    world.produce(encoded(event()))
    withhold(world)
    [finding] = found(world)
    assert (finding.name, finding.level) == ("partitions", "FAIL")
    assert f"{world.topic}/0 at offset 0: BAD_MSG: CRC" in finding.text
    assert f"millrace gaps give-up --topic {world.topic} --partition 0 --dry-run" in finding.advice


def test_a_topic_that_was_taken_out_warns(world: World) -> None:
    topic = leave_out(world, unread=2)
    [warning, well] = found(world)
    assert (warning.level, well.level) == ("WARN", "OK")
    assert f"{topic} is not in MILLRACE_KAFKA_TOPICS any more, with 2 unread" in warning.text


def test_where_nobody_can_tell_it_says_so_and_does_not_fail(world: World) -> None:
    [finding] = found(world, kafka_bootstrap_servers="127.0.0.1:1")
    assert (finding.level, "Kafka" in finding.text) == ("WARN", True)
    [finding] = found(world, postgres_url="postgresql://nobody@127.0.0.1:1/none")
    assert finding.level == "WARN"


def test_without_a_stack_and_without_settings_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLRACE_POSTGRES_URL", raising=False)
    assert list(of_stack(tmp_path)) == []
