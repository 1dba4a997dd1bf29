"""A world that analysts can log in to; one for a whole file, whose tests leave it as they found it."""

import uuid
from collections.abc import Iterator

import pytest

from contract.contract import Contract
from infra.local.harness import Running
from infra.postgres.analyst_role import Analysts
from infra.postgres.migrate import migrate
from tests.access.analyst import PASSWORD
from tests.support.world import World, encoded, event, fresh_world


@pytest.fixture(scope="module")
def open_world(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with an event of each type, a dead letter, and the analysts' login."""
    with fresh_world(services, tmp_path_factory.mktemp("world")) as made:
        migrate(made.settings.postgres_url, analysts=Analysts(PASSWORD))
        examples = [{**each.example(), "eventId": str(uuid.uuid4())} for each in Contract().values()]
        made.produce([*encoded(*examples, event()), b"secret"])
        made.ingest()
        yield made
