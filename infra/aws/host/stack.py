"""From what the CloudFormation stack says to the files of infra/docker: lines of `.env`, and secrets.

What belongs here: which parameter becomes which setting. What does not: AWS, Docker, the disk (`host`).
Runs on the host with Ubuntu's own Python, without Millrace.
"""

import json
from collections.abc import Callable, Mapping
from urllib.parse import quote

Config = Mapping[str, str]
Secret = Callable[[str], str]
_PUBLIC_CAS = "/etc/ssl/certs/ca-certificates.crt"
# What Compose calls the containers that a managed service may stand in place of.
_CONTAINERS = {"kafka": "kafka", "postgres": "postgres", "redis": "redis", "broker": "redis"}
# infra/aws/compose.yaml mounts it: what changes while containers run, and is no secret of a file of its own.
OUTSIDE = "/run/outside"
_OVERLAY = "../aws/compose.yaml"


def needs_outside(config: Config) -> bool:
    """Whether a service is not a container here."""
    return any(config[name] != "container" for name in ("postgres", "redis", "kafka"))


def files(now: str, *, outside: bool) -> str:
    """COMPOSE_FILE: what its owner has there stays, ours is added or taken away."""
    kept = [name for name in (now or "compose.yaml").split(":") if name != _OVERLAY]
    return ":".join([*kept, _OVERLAY] if outside else kept)


def lines(config: Config, servers: str) -> dict[str, str]:
    """The lines of `.env` that the stack decides; everything else in the file is its owner's.

    Args:
        config: the stack's.
        servers: Kafka's addresses; empty for the container.
    """
    outside = needs_outside(config)
    with_metrics = "monitoring" in config["profiles"].split(",")
    contained = {name: config[by] == "container" for name, by in _CONTAINERS.items()}
    return {
        "COMPOSE_PROFILES": config["profiles"],
        "MILLRACE_PULL": "missing",
        "MILLRACE_NETWORK_INTERNAL": "false" if outside else "true",
        **{f"{name.upper()}_PROFILE": "core" if here else "none" for name, here in contained.items()},
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": servers or "kafka:9092",
        "MILLRACE_ANALYST_HOST": f"{config['postgres_host'] or 'postgres'}:5432",
        "MILLRACE_ANALYST_SSLMODE": "disable" if contained["postgres"] else "verify-full",
        "MILLRACE_ANALYST_SSLROOTCERT": "" if contained["postgres"] else f"{OUTSIDE}/rds.pem",
        "MILLRACE_PUSHGATEWAY_URL": "http://pushgateway:9091" if with_metrics else "",
    }


def secrets(config: Config, secret: Secret) -> dict[str, str]:
    """The files of `secrets/` that the stack decides; `millrace init` makes the others.

    Args:
        config: the stack's.
        secret: from a secret's ARN to its text.
    """
    owner, service = (_password(secret(config[name])) for name in ("postgres_secret", "service_secret"))
    made = {
        "postgres_password": owner,
        "postgres_owner_url": _postgres(config, "millrace", owner),
        "postgres_url": _postgres(config, "millrace_service", service),
    }
    if config["grafana_secret"]:
        made["grafana_password"] = _password(secret(config["grafana_secret"]))
    if config["redis"] == "elasticache":
        token = quote(_password(secret(config["redis_secret"])), safe="")
        for name in ("claims", "broker"):
            file = "redis_url" if name == "claims" else "broker_url"
            made[file] = f"rediss://:{token}@{config[name + '_host']}:6379/0?ssl_cert_reqs=required"
        # An address without its password file is refused by `millrace init`, which expects its own containers.
        made["redis.conf"] = made["broker.conf"] = ""
    options = _kafka(config, secret)
    return {**made, "kafka_options": options} if options else made


def _postgres(config: Config, user: str, password: str) -> str:
    host = config["postgres_host"] or "postgres"
    encrypted = f"?sslmode=verify-full&sslrootcert={OUTSIDE}/rds.pem" if config["postgres"] == "rds" else ""
    return f"postgresql://{user}:{quote(password, safe='')}@{host}:5432/millrace{encrypted}"


def _kafka(config: Config, secret: Secret) -> str:
    """MILLRACE_KAFKA_OPTIONS."""
    if config["kafka"] == "external":
        return secret(config["kafka_secret"]) if config["kafka_secret"] else ""
    if config["kafka"] == "container":
        return ""
    if config["kafka"] == "msk-scram":
        user = json.loads(secret(config["kafka_secret"]))
        own = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user["username"], "sasl.password": user["password"]}
    else:
        own = {"sasl.mechanism": "OAUTHBEARER", "millrace.token.file": f"{OUTSIDE}/kafka_token"}
    return json.dumps({"security.protocol": "SASL_SSL", "ssl.ca.location": _PUBLIC_CAS, **own})


def _password(text: str) -> str:
    return str(json.loads(text)["password"])
