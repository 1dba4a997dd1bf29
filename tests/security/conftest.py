"""The servers with TLS, started once for the tests of connections, and with nothing else."""

from collections.abc import Iterator

import pytest

from tests.security.servers import Secure, secure_servers


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Kafka, PostgreSQL and Redis with TLS, and the settings to reach them."""
    with secure_servers(tmp_path_factory.mktemp("secure")) as started:
        yield started
