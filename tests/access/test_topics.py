"""Which topic an event came from: named for analysts, at no cost to who does not ask."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from contract.contract import Contract
from infra.postgres.views import view_name
from tests.access.analyst import ask
from tests.support.world import World

pytestmark = pytest.mark.services

NAMES = [view_name(name) for name in Contract()]


def test_an_analyst_joins_events_with_the_names_of_their_topics(open_world: World) -> None:
    joined = (
        "select t.topic, count(*) from events as e inner join topics as t on t.topic_id = e.kafka_topic_id group by 1"
    )
    assert ask(open_world, joined) == [(open_world.topic, len(Contract()) + 1)]


@pytest.mark.parametrize("view", NAMES)
def test_each_view_of_a_type_names_the_topic(open_world: World, view: str) -> None:
    assert ask(open_world, f"select distinct kafka_topic from {view}") == [(open_world.topic,)]


def test_a_topic_that_was_created_anew_has_a_row_for_each_of_its_lives_and_old_events_keep_their_name(
    open_world: World,
) -> None:
    before = ask(open_world, "select topic, partitions, replaced_at from topics")
    assert before == [(open_world.topic, 1, None)]
    [[old]] = ask(open_world, "select topic_id from topics")
    open_world.query("update ops.offsets set replaced_at = now()")
    open_world.query(
        "insert into ops.offsets (topic, topic_id, partition, next_offset) values (%s, gen_random_uuid(), 0, 1)",
        open_world.topic,
    )
    try:
        lives = ask(open_world, "select topic, replaced_at is null from topics order by 2")
        assert lives == [(open_world.topic, False), (open_world.topic, True)]
        assert ask(open_world, "select distinct kafka_topic from page_views") == [(open_world.topic,)]
    finally:
        open_world.query("delete from ops.offsets where topic_id <> %s", old)
        open_world.query("update ops.offsets set replaced_at = null")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes."""
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)


def looks_at_offsets(world: World, query: str) -> list[int]:
    """How often a query reads the table of topics, by node of its plan."""
    [[[found]]] = world.query(f"explain (analyze, format json, timing off) {query}")
    return [n["Actual Loops"] for n in nodes(found["Plan"]) if n.get("Relation Name") == "offsets"]


def test_who_does_not_ask_for_the_topic_does_not_pay_for_it_and_who_does_reads_the_names_once(
    open_world: World,
) -> None:
    open_world.query(
        "insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition,"
        " kafka_offset) select gen_random_uuid(), '2026-11-02', 'page_view', 'u', %s, e.kafka_topic_id, 0, n"
        " from (select kafka_topic_id from raw.events limit 1) as e, generate_series(1, 2000) as n",
        json.dumps({"page": "/many"}),
    )
    try:
        many = "from analytics.page_views where page = '/many'"
        assert looks_at_offsets(open_world, f"select count(*), max(device) {many}") == []
        assert looks_at_offsets(open_world, f"select kafka_topic, count(*) {many} group by 1") == [1]
        assert looks_at_offsets(open_world, f"select * {many} order by occurred_at desc limit 5") == [1]
    finally:
        open_world.query("delete from raw.events where payload = %s", json.dumps({"page": "/many"}))
