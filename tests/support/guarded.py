"""Kafka that looks at rights: KRaft's own authorizer, a listener with logins, and a plain one that may do everything.

What belongs here: starting it, and giving and taking rights. What does not: what a client may then do.
"""

import secrets
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from infra.local import embedded, ports
from infra.local.children import Running
from infra.local.harness import running
from infra.local.services import HOST

USER = "millrace"
_LISTENER = "listener.name.sasl_plaintext"


@dataclass(frozen=True)
class Guarded:
    """Where it is. `plain` is for whoever may do everything."""

    services: Running
    plain: str
    guarded: str
    password: str = field(repr=False)

    @property
    def options(self) -> dict[str, str]:
        """What the user's clients need."""
        login = {"sasl.mechanism": "PLAIN", "sasl.username": USER, "sasl.password": self.password}
        return {"security.protocol": "SASL_PLAINTEXT", **login}

    def allow(self, topic: str, *operations: AclOperation) -> None:
        """Take every right to a topic away, and give these."""
        admin = AdminClient({"bootstrap.servers": self.plain})
        anybody: Any = None
        every = AclBindingFilter(
            *(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, anybody, anybody),
            *(AclOperation.ANY, AclPermissionType.ANY),
        )
        for gone in admin.delete_acls([every]).values():
            gone.result(10)
        _give(admin, [_right(ResourceType.TOPIC, topic, each) for each in operations])


def _right(kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    pattern = ResourcePatternType.LITERAL
    return AclBinding(kind, name, pattern, f"User:{USER}", "*", operation, AclPermissionType.ALLOW)


def _give(admin: AdminClient, rights: Collection[AclBinding]) -> None:
    for given in admin.create_acls(list(rights)).values() if rights else ():
        given.result(10)


@contextmanager
def guarded_kafka(directory: Path) -> Generator[Guarded]:
    """Start it."""
    names = ["kafka", embedded.CONTROLLER, "guarded"]
    chosen = dict(zip(names, ports.free(len(names)), strict=True))
    password = secrets.token_hex(8)
    embedded.prepare("kafka", directory, chosen)
    with running(directory, ()) as services:
        plain = embedded.described("kafka", directory, chosen)
        command = (*plain.command, *_overrides(chosen, password))
        services.services["kafka"] = replace(plain, command=command)
        services.start("kafka", wait=False)
        services.wait("kafka")
        made = Guarded(services, f"{HOST}:{chosen['kafka']}", f"{HOST}:{chosen['guarded']}", password)
        admin = AdminClient({"bootstrap.servers": made.plain})
        _give(admin, [_right(ResourceType.GROUP, "*", AclOperation.ALL)])
        yield made


def _overrides(chosen: dict[str, int], password: str) -> list[str]:
    plain, guarded = f"PLAINTEXT://{HOST}:{chosen['kafka']}", f"SASL_PLAINTEXT://{HOST}:{chosen['guarded']}"
    settings = {
        "listeners": f"{plain},CONTROLLER://{HOST}:{chosen[embedded.CONTROLLER]},{guarded}",
        "advertised.listeners": f"{plain},{guarded}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        f"{_LISTENER}.plain.sasl.jaas.config": (
            f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{password}";'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    return [part for name, value in settings.items() for part in ("--override", f"{name}={value}")]
