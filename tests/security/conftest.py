"""The servers with TLS and the proxy, each started once for the tests that ask for it, and with nothing else."""

from collections.abc import Iterator

import pytest

from tests.security import nginx
from tests.security.servers import Secure, secure_servers


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Kafka, PostgreSQL and Redis with TLS, and the settings to reach them."""
    with secure_servers(tmp_path_factory.mktemp("secure")) as started:
        yield started


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nginx.Proxy]:
    """A running proxy that asks for the password of ann."""
    with nginx.running(tmp_path_factory.mktemp("proxy")) as started:
        yield started


@pytest.fixture(scope="module")
def single_sign_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nginx.Proxy]:
    """A running proxy that asks oauth2-proxy, played by the server behind it."""
    with nginx.running(tmp_path_factory.mktemp("oidc"), "oidc.conf") as started:
        yield started
