"""The files that a deployment with Docker Compose is made of: `.env` and `secrets/`, with random secrets.

What belongs here: their names, content and permissions. What does not: the command (`orchestration.cli.init`) and the
containers that read them (`infra/docker/compose.yaml` at the top of the checkout).

Secrets are readable by everybody in a folder that only its owner can enter: the containers' users have other ids than
the owner, a container is given single files of the folder, and other users of the host do not get past it.
"""

import base64
import secrets
import uuid
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from infra.local import files

SERVICE_ROLE = "millrace_service"
_CLUSTER = "KAFKA_CLUSTER_ID=\n"
# Empty ones are settings that are not set, for their owner to fill in.
_ALERTS = ("alert_webhook_url", "alert_slack_url", "alert_smtp_password")
_EMPTY = (*_ALERTS, "ca.pem", "proxy_certificate", "proxy_key", "proxy_users")
_PAIRS = (("postgres_password", "postgres_owner_url"), ("redis.conf", "redis_url"), ("broker.conf", "broker_url"))


class IncompleteError(Exception):
    """What is there cannot be completed; the text says what to do."""


def template() -> str:
    """The text of `.env`, without what is random in it."""
    return resources.files("infra.docker").joinpath("deployment.env").read_text(encoding="utf-8")


def initialise(directory: Path) -> list[Path]:
    """Make what is missing and return it; what is there is never touched.

    Raises:
        IncompleteError: an address is there whose password is missing.
        OSError: a file cannot be written.
    """
    folder = directory / "secrets"
    _check(folder)
    made: list[Path] = []
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o700)
    for name, text in _texts(folder).items():
        if not (folder / name).exists():
            files.write(folder / name, text(), 0o644)
            made.append(folder / name)
    if not (directory / ".env").exists():
        files.write(directory / ".env", template().replace(_CLUSTER, f"{_CLUSTER.strip()}{_cluster_id()}\n"), 0o600)
        made.append(directory / ".env")
    return made


def _check(folder: Path) -> None:
    for password, address in _PAIRS:
        if (folder / address).exists() and _read(folder, address) and not (folder / password).exists():
            raise IncompleteError(
                f"{folder / address} is there and {folder / password} is not: put the password back, or remove both"
            )


def _texts(folder: Path) -> Mapping[str, Callable[[], str]]:
    """What each file holds, in the order in which they are made: an address reads the password that stands before.

    The database has two addresses: the owner's, for `migrate` alone, and that of the role that it makes for the
    processes. An address that somebody brought is not ours to divide: its user stays the owner.
    """
    brought = (folder / "postgres_url").exists()
    return {
        "postgres_password": _random,
        "postgres_owner_url": lambda: "" if brought else _postgres("millrace", _read(folder, "postgres_password")),
        "postgres_url": lambda: _postgres(SERVICE_ROLE, _random()),
        "redis.conf": lambda: f"requirepass {_random()}\n",
        "redis_url": lambda: f"redis://:{_redis_password(folder, 'redis.conf')}@redis:6379/0",
        "broker.conf": lambda: f"requirepass {_random()}\n",
        "broker_url": lambda: f"redis://:{_redis_password(folder, 'broker.conf')}@broker:6379/0",
        "kafka_options": lambda: "{}",
        "analyst_password": _random,
        "grafana_password": _random,
        **dict.fromkeys(_EMPTY, str),
    }


def _postgres(user: str, password: str) -> str:
    return f"postgresql://{user}:{password}@postgres:5432/millrace"


def _random() -> str:
    """Letters and digits alone: in addresses and in Redis's configuration other characters have a meaning."""
    return secrets.token_hex(24)


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8").strip()


def _redis_password(folder: Path, name: str) -> str:
    return _read(folder, name).removeprefix("requirepass ")


def _cluster_id() -> str:
    """An id as Kafka writes them; a leading '-' would be read as an option by its tools."""
    made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return made if not made.startswith("-") else _cluster_id()
