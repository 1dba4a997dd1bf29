"""The embedded services: which there are, how each is prepared, how they are reached.

What belongs here: putting `postgres`, `redis`, `kafka`, `jars` and `monitoring` together. What does not: starting them
(`harness` for tests, `stack` for people).
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from infra.local import jars, kafka, monitoring, postgres, redis
from infra.local.services import HOST, LocalError, LocalService

ALL = (postgres.NAME, redis.CLAIMS, redis.BROKER, kafka.NAME)
# Millrace runs without them, and the stack has them where their programs are to be had.
OPTIONAL = monitoring.NAMES
CONTROLLER = "kafka-controller"
# Beside the usual ones: a machine that has a PostgreSQL, a Redis or a Kafka of its own keeps it.
PORTS = {
    postgres.NAME: 5433,
    redis.CLAIMS: 6390,
    redis.BROKER: 6391,
    kafka.NAME: 9192,
    CONTROLLER: 9193,
    monitoring.PUSHGATEWAY: 9091,
    monitoring.PROMETHEUS: 9090,
    monitoring.ALERTMANAGER: 9093,
}


def port_names(names: Collection[str]) -> list[str]:
    """The ports that services need: one each, and a second one for Kafka."""
    known = (*ALL, *OPTIONAL)
    unknown = set(names) - set(known)
    if unknown:
        raise LocalError(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [*(name for name in known if name in names), *([CONTROLLER] if kafka.NAME in names else [])]


def prepare(name: str, directory: Path, ports: Mapping[str, int], say: Callable[[str], None] = lambda _: None) -> None:
    """Make a service's data, once, and write its settings. Nothing of the directory may run meanwhile."""
    home = directory / name
    if name == postgres.NAME:
        say("preparing" if (home / "data").exists() else "making the database")
        postgres.prepare(home)
    elif name == kafka.NAME:
        folder = jars.fetch(say=say)
        say("preparing" if (home / "data").exists() else "formatting its storage")
        kafka.prepare(home, folder, ports[name], ports[CONTROLLER])
    elif name in monitoring.NAMES:
        monitoring.prepare(name, home, ports)
    else:
        (redis.prepare_claims if name == redis.CLAIMS else redis.prepare_broker)(home)


def described(name: str, directory: Path, ports: Mapping[str, int]) -> LocalService:
    """How to run a service that is prepared."""
    home = directory / name
    if name == postgres.NAME:
        return postgres.service(home, ports[name])
    if name == kafka.NAME:
        return kafka.service(home, jars.fetch(), ports[name])
    if name in monitoring.NAMES:
        return monitoring.service(name, home, ports[name])
    return redis.service(name, home, ports[name])


def environment(names: Collection[str], directory: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """The settings by which Millrace reaches the services."""
    settings: dict[str, str] = {}
    if postgres.NAME in names:
        settings["MILLRACE_POSTGRES_URL"] = postgres.url(directory / postgres.NAME, ports[postgres.NAME])
    if redis.CLAIMS in names:
        settings["MILLRACE_REDIS_URL"] = redis.url(ports[redis.CLAIMS])
    if redis.BROKER in names:
        settings["MILLRACE_BROKER_URL"] = redis.url(ports[redis.BROKER])
    if kafka.NAME in names:
        settings["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"] = f"{HOST}:{ports[kafka.NAME]}"
    for name in monitoring.NAMES:  # of these only the Pushgateway is a setting; the others are for people
        if name in names:
            settings[f"MILLRACE_{name.upper()}_URL"] = monitoring.url(ports[name])
    return settings
