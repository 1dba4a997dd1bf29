"""Whatever a session inherits from role, database, URL or environment, no row is lost, doubled or mangled."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from typing_extensions import override

from assets.dead_letters.discard import discard
from contract.contract import Contract
from infra.local.harness import Running
from infra.postgres.analyst_role import Analysts
from infra.postgres.migrate import migrate
from resources.session import PINS
from tests.connections import hostile
from tests.dead_letters.support import ALL
from tests.erasure.support import erase, of, retain, traces
from tests.support.world import World, encoded, event, fresh_world, out_of_balance

pytestmark = pytest.mark.services

USER = "żółw-Ωmega-тест-利用者-😀"
WAYS = ("role", "database", "environment", "url")


class _Inheriting(World):
    """A world whose own questions are asked in sessions of ours: a plain one would not even find the server."""

    @override
    def query(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self.worker.postgres.connect("test") as connection:
            cursor = connection.execute(text.encode(), arguments)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(params=WAYS)
def inherited(
    request: pytest.FixtureRequest, services: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world in which a session inherits everything that is hostile, in one of the ways."""
    with fresh_world(services, tmp_path) as world:
        world.query("create schema hostile")
        world.query("create function hostile.now() returns timestamptz return '1999-01-01'::timestamptz")
        values = hostile.known(world)
        with monkeypatch.context() as patch:
            yield _inheriting(world, request.param, values, patch)


def _inheriting(world: World, way: str, values: Mapping[str, str], patch: pytest.MonkeyPatch) -> World:
    url = world.settings.postgres_url
    if way == "url":
        url = hostile.in_the_url(url, values)
    elif way == "environment":
        for name, value in hostile.by_environment(world, values).items():
            patch.setenv(name, value)
    else:
        (hostile.by_role if way == "role" else hostile.by_database)(world, values)
    settings = world.settings.model_copy(update={"postgres_url": url})
    return _Inheriting(world.services, settings, world.topic, world.failpoints)


def _settings(world: World) -> dict[str, str | None]:
    """What the list's settings are in a session of ours; None where the server has no such setting."""
    with world.worker.postgres.connect("test") as connection:
        rows = [connection.execute("select current_setting(%s, true)", (name,)).fetchone() for name in PINS]
    return {name: row[0] for name, row in zip(PINS, rows, strict=True) if row}


def test_a_session_of_ours_has_none_of_it(inherited: World) -> None:
    found = _settings(inherited)
    assert {name: value for name, value in found.items() if value not in (None, PINS[name])} == {}
    with inherited.worker.postgres.connect("test", statement_timeout_seconds=7) as connection:
        assert connection.execute("show statement_timeout").fetchone() == ("7s",)
        assert connection.execute("show synchronous_commit").fetchone() == ("on",)
        assert connection.execute("select now() > '2000-01-01'").fetchone() == (True,)


def test_the_whole_way_of_an_event_is_as_ever(inherited: World) -> None:
    world = inherited
    migrate(world.settings.postgres_url, analysts=Analysts("a password"))
    examples = [{**each.example(), "eventId": str(uuid.uuid4())} for each in Contract().values()]
    late = of(USER, days_ago=400)
    world.produce([*encoded(*examples, of(USER, days_ago=1), late, examples[0], event()), b"{", None])
    world.ingest()
    world.refresh()
    assert world.totals() == {"records": 11, "stored": 8, "duplicates": 1, "dead_letters": 1, "tombstones": 1}
    assert len(traces(world, USER)) > 1
    assert discard(world.worker.postgres, ALL, "of no use") == {"not_json": 1}
    assert erase(world, USER).events == 2
    assert traces(world, USER) == {}
    assert retain(world, 3).rows == len(examples)
    assert out_of_balance(world.reconcile()) == []


def test_text_of_every_script_is_stored_as_it_was_sent(inherited: World) -> None:
    inherited.produce(encoded(of(USER)))
    inherited.ingest()
    with inherited.worker.postgres.connect("test") as connection:
        row = connection.execute("select user_id, payload ->> 'userId' from raw.events").fetchone()
    assert row == (USER, USER)


def test_a_setting_that_loses_rows_and_that_only_a_superuser_may_set_refuses_the_session(world: World) -> None:
    role = f"plain_{uuid.uuid4().hex[:12]}"
    world.query(f"create role {role} login password 'plain'")
    try:
        world.query(f"alter role {role} set session_replication_role = replica")
        url = world.settings.postgres_url.replace("//millrace:", f"//{role}:", 1)
        plain = replace(world.worker.postgres, url=make_conninfo(url, password="plain"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="session_replication_role"):
            plain.connect("test")
        world.query(f"alter role {role} reset all")
        plain.connect("test").close()
    finally:
        world.query(f"drop role {role}")


def test_every_setting_of_the_list_has_a_hostile_value_here() -> None:
    assert set(hostile.HOSTILE) == {*PINS, "synchronous_commit"}
