"""Adding a type is adding a struct: it is validated, produced, stored and replayed without another line."""

import jsonschema
import pytest

from contract.constraints import Page
from contract.contract import Contract
from contract.schema import schema_of
from contract.types import Payload
from orchestration.factories import make_worker
from producer import ProducerConfig, run
from tests.support.world import World, encoded, event, out_of_balance


class NewThing(Payload):
    """A user has watched a video."""

    page: Page
    seconds: int


CONTRACT = Contract().with_types(NewThing)


def test_its_schema_accepts_its_example() -> None:
    made = CONTRACT["new_thing"]
    jsonschema.validate(made.example(), schema_of(made))


@pytest.mark.services
def test_it_flows_from_kafka_to_its_rows(world: World) -> None:
    payload = {"userId": "u", "page": "/v", "seconds": 12, "more": [1]}
    good = event(kind="new_thing", payload=payload)
    bad = event(kind="new_thing", payload={**payload, "seconds": "long"})
    world.produce(encoded(good, bad))
    worker = make_worker(world.settings, CONTRACT)
    world.ingest(worker)
    worker.close()
    assert world.query("select type, user_id, payload from raw.events") == [("new_thing", "u", payload)]
    [(code, reason)] = world.query("select code, reason from raw.dead_letters")
    assert code == "wrong_type"
    assert "$.payload.seconds" in reason
    assert world.query("select type, events from analytics.events_minutely") == [("new_thing", 1)]


@pytest.mark.services
def test_the_producer_sends_it_too(world: World) -> None:
    world.services.wait("kafka")
    bootstrap = world.settings.kafka_bootstrap_servers
    sent = run(ProducerConfig(bootstrap_servers=bootstrap, topic=world.topic, count=3_000, rate=0, contract=CONTRACT))
    worker = make_worker(world.settings, CONTRACT)
    world.ingest(worker)
    assert world.one("select count(*) from raw.events where type = 'new_thing'") == sent.by_type["new_thing"] > 0
    worker.close()
    assert out_of_balance(world.reconcile()) == []
