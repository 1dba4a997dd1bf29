"""The code server loads its definitions again while it runs: changed code, and partitions that begin earlier."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._cli import api
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._grpc.client import DagsterGrpcClient

from assets.aggregates.specs import asset_key
from assets.periods import floor_hour
from infra.local import ports
from orchestration import code_version
from orchestration.dagster_runtime import instance as home
from tests.support.world import World, encoded, event

ROOT = Path(__file__).parent.parent.parent


def test_dagster_s_command_makes_the_server_by_the_name_that_ours_takes() -> None:
    """It is imported inside of the command, so that what stands in the module then is what serves."""
    source = Path(api.__file__).read_text()
    assert "from dagster._grpc.server import DagsterApiServer, DagsterGrpcServer\n" in source
    assert "api_servicer = DagsterApiServer(" in source


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code, to be changed."""
    for package in code_version.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "code"


@pytest.fixture
def client(world: World, code: Path, tmp_path: Path) -> Iterator[DagsterGrpcClient]:
    home.prepare_home(tmp_path / "home")
    port = ports.free(1)[0]
    names = ("postgres_url", "redis_url", "broker_url", "kafka_bootstrap_servers")
    places = {f"MILLRACE_{name.upper()}": str(getattr(world.settings, name)) for name in names}
    own = {"PYTHONPATH": str(code), "DAGSTER_HOME": str(tmp_path / "home")}
    # As a shell starts what it puts into the background: SIGINT is ignored, and SIGTERM has to end it all the same.
    background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    command = [*background, sys.executable, "-m", "orchestration.cli", "code-server", "--port", str(port)]
    with subprocess.Popen(command, cwd=code, env={**os.environ, **places, **own}) as server:
        found = DagsterGrpcClient(host="127.0.0.1", port=port)
        try:
            until(lambda: answers(found))
            yield found
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
                raise


def until(is_so: Callable[[], bool], within: float = 120) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def answers(client: DagsterGrpcClient) -> bool:
    with suppress(DagsterUserCodeUnreachableError):
        client.ping("")
        return True
    return False


def served(client: DagsterGrpcClient) -> Any:
    """The asset `events_hourly`, as the web server and the daemon are told of it."""
    origin = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=client.port, location_name="millrace")
    with dg.DagsterInstance.ephemeral() as instance, origin.create_location(instance) as location:
        [repository] = location.get_repositories().values()
        return repository.asset_graph.get(asset_key("events_hourly"))


@pytest.mark.services
def test_reload_definitions_serves_changed_code_and_refuses_broken_code(
    world: World, client: DagsterGrpcClient, code: Path
) -> None:
    assert served(client).group_name != "changed"
    assert served(client).partitions_def.start == floor_hour(datetime.now(UTC)), "there is no event yet"
    specs = code / "assets" / "aggregates" / "specs.py"
    text, first = specs.read_text(), client.get_server_id()
    assert 'AssetKey(table.split("."))' in text
    with specs.open("a") as file:
        file.write('\n_real = spec\ndef spec(*a):\n    return _real(*a).replace_attributes(group_name="changed")\n')
    client.reload_code(timeout=60)
    assert served(client).group_name == "changed"
    assert client.get_server_id() != first, "by which the web server and the daemon know that they must ask"
    specs.write_text(f"{text}\nthis is no Python\n")
    with pytest.raises(DagsterUserCodeUnreachableError) as refused:
        client.reload_code(timeout=60)
    assert "SyntaxError" in str(refused.value.__cause__)
    assert served(client).group_name == "changed", "what was served before is served on"
    early = datetime.now(UTC) - timedelta(days=3)
    world.produce(encoded(event(timestamp=early.isoformat())))
    world.ingest()
    until(lambda: served(client).partitions_def.start == floor_hour(early))
