"""What the tests of dead letters share: records that yesterday's code refuses, and commands on a test's own world."""

import json
import os
from typing import Any

from click.testing import CliRunner, Result

from assets.dead_letters.redrive import Redrive, Redriven
from assets.dead_letters.selection import Selection
from contract.contract import Contract
from contract.types import Login
from orchestration.cli.dead_letters import dead_letters
from orchestration.factories import make_worker
from tests.support.world import LOG, World, event


class NewThing(Login):
    """A type that today's code knows and yesterday's did not."""


TODAY = Contract().with_types(NewThing)
ALL = Selection()


def new_thing(event_id: str | None = None, **changes: Any) -> dict[str, Any]:
    payload = {"userId": "u1", "ip": "192.0.2.1", "device": "phone"}
    return event(event_id, kind="new_thing", **{"payload": payload, **changes})


def redriven(
    world: World, choice: Selection = ALL, contract: Contract = TODAY, *, dry_run: bool = False, **changes: Any
) -> Redriven:
    worker = make_worker(world.settings.model_copy(update=changes), contract)
    worker.failpoint = world.worker.failpoint
    try:
        return Redrive(worker, choice, LOG, dry_run=dry_run)()
    finally:
        worker.close()


def environment(world: World, **more: str) -> dict[str, str]:
    own = {
        "MILLRACE_POSTGRES_URL": world.settings.postgres_url,
        "MILLRACE_KAFKA_TOPICS": world.topic,
        "MILLRACE_FAILPOINTS": str(world.failpoints),
    }
    return {**os.environ, **world.services.environment, **own, **more}


def command(world: World, *arguments: str, **more: str) -> Result:
    return CliRunner().invoke(dead_letters, arguments, env=environment(world, **more))


def answer(world: World, *arguments: str, **more: str) -> Any:
    """What a command says as JSON."""
    return json.loads(command(world, *arguments, "--json", **more).stdout)


def dead_letter_rows(world: World) -> list[tuple[Any, ...]]:
    """Offset, status, code and attempts of every dead letter."""
    return world.query("select kafka_offset, status, code, attempts from raw.dead_letters order by partition, 1")


def history(world: World) -> list[tuple[Any, ...]]:
    """Attempt, outcome and code of every entry."""
    return world.query("select attempt, outcome, code from ops.dead_letter_attempts order by dead_letter_id, entry_id")


def ids(world: World) -> list[int]:
    return [row[0] for row in world.query("select dead_letter_id from raw.dead_letters order by dead_letter_id")]
