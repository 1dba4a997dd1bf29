"""Services that are not ours: PostgreSQL and both Redis elsewhere, reached over TLS as docs/deploy.md says."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.stack import COMPOSE, Stack, require_engine, stack
from tests.security.authority import Authority

pytestmark = pytest.mark.containers

# They play the part of managed services: no user of theirs is ours, and their certificates are of an authority that no
# system knows. Each is started on copies of its key that its user owns.
_SERVICES = """
x-redis: &redis
  image: ${REDIS_IMAGE:-redis:8}
  networks: [data]
  volumes: ["${TLS}:/tls:ro"]
  tmpfs: ["/own:mode=0777"]
services:
  database:
    image: ${POSTGRES_IMAGE:-postgres:17}
    networks: [data]
    environment: {POSTGRES_USER: owner, POSTGRES_DB: events, POSTGRES_PASSWORD: of-the-owner}
    volumes: ["${TLS}:/tls:ro"]
    tmpfs: ["/own:mode=0777"]
    entrypoint: [bash, -c]
    command:
      - |
        install -o postgres -m 600 /tls/server.* /own && exec docker-entrypoint.sh postgres \
          -c ssl=on -c ssl_cert_file=/own/server.pem -c ssl_key_file=/own/server.key
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1, -d, events], interval: 1s, start_period: 60s}
  claims:
    <<: *redis
    command: [redis-server, --port, "0", --tls-port, "6379", --tls-cert-file, /tls/server.pem,
      --tls-key-file, /tls/server.key, --tls-auth-clients, "no", --requirepass, of-the-claims, --save, ""]
  queue:
    <<: *redis
    command: [redis-server, --port, "0", --tls-port, "6379", --tls-cert-file, /tls/server.pem,
      --tls-key-file, /tls/server.key, --tls-auth-clients, "no", --requirepass, of-the-queue, --save, "",
      --maxmemory-policy, noeviction]
"""
_TRUSTED = "/run/secrets/ca.pem"
_SECRETS = {
    "postgres_owner_url": f"postgresql://owner:of-the-owner@database:5432/events?sslmode=verify-full&sslrootcert={_TRUSTED}",
    "postgres_url": f"postgresql://service:made-up@database:5432/events?sslmode=verify-full&sslrootcert={_TRUSTED}",
    "redis_url": f"rediss://:of-the-claims@claims:6379/0?ssl_ca_certs={_TRUSTED}",
    "broker_url": f"rediss://:of-the-queue@queue:6379/0?ssl_ca_certs={_TRUSTED}",
}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack on them, settings and secrets as the document says."""
    require_engine()
    directory = tmp_path_factory.mktemp("elsewhere")
    (directory / "services.yaml").write_text(_SERVICES)
    authority = Authority(directory / "tls", ("database", "claims", "queue")).make()
    for file in (directory / "tls", authority.key):  # each server reads it as a user of its own
        file.chmod(0o755)
    settings = {
        "COMPOSE_PROFILES": "core",
        "MILLRACE_PUSHGATEWAY_URL": "",
        "COMPOSE_FILE": f"{COMPOSE}:{directory / 'services.yaml'}",
        "TLS": str(directory / "tls"),
        **dict.fromkeys(("POSTGRES_PROFILE", "REDIS_PROFILE", "BROKER_PROFILE", "GRAFANA_PROFILE"), "none"),
        "MILLRACE_NETWORK_INTERNAL": "false",
    }
    with stack(directory, **settings) as made:
        for name, content in _SECRETS.items():
            (directory / "secrets" / name).write_text(content)
        shutil.copyfile(authority.certificate, directory / "secrets" / "ca.pem")
        chosen = Stack(made.directory, made.name, None)
        try:
            chosen.compose("up", "--detach", "--wait", "database", "claims", "queue")
            chosen.up()
            yield chosen
        finally:
            chosen.down()  # with what is in the second file


def ask(elsewhere: Stack, query: str) -> list[str]:
    """Lines of a query in the database that is not ours."""
    psql = ("psql", "-U", "owner", "-d", "events", "-AtXc", query)
    return elsewhere.execute("database", *psql).splitlines()


def test_events_reach_a_database_elsewhere_and_every_connection_is_encrypted(elsewhere: Stack) -> None:
    assert not {"postgres", "redis", "broker"} & set(elsewhere.containers())
    sent = elsewhere.produce("--count", "3000", "--rate", "1500", "--duplicates", "0.02")
    elsewhere.reconcile()
    assert ask(elsewhere, "select sum(records), bool_or(dedup_degraded) from ops.batches") == [
        f"{sent['acknowledged']}|f"
    ]
    sessions = "from pg_stat_activity inner join pg_stat_ssl using (pid) where client_addr <> '127.0.0.1'"
    assert ask(elsewhere, f"select distinct usename, ssl {sessions}") == ["service|t"]


def test_a_certificate_of_an_authority_that_is_not_in_the_file_is_refused(elsewhere: Stack, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").make().certificate.read_text()
    trusted = elsewhere.directory / "secrets" / "ca.pem"
    right = trusted.read_text()
    trusted.write_text(other)
    with pytest.raises(AssertionError, match="certificate verify failed"):
        elsewhere.compose("run", "--rm", "--no-deps", "migrate")
    trusted.write_text(right)
    elsewhere.compose("run", "--rm", "--no-deps", "migrate")
