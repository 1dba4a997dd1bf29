"""From what the CloudFormation stack says to the files of infra/docker: lines of `.env`, and secrets.

What belongs here: which parameter becomes which setting. What does not: AWS, Docker, the disk (`host`).
Runs on the host with Ubuntu's own Python, without Millrace.
"""

import json
from collections.abc import Callable, Mapping
from urllib.parse import quote

Config = Mapping[str, str]
Secret = Callable[[str], str]
_AMAZONS_CAS = "/etc/ssl/certs/ca-certificates.crt"


def lines(config: Config, servers: str) -> dict[str, str]:
    """The lines of `.env` that the stack decides; everything else in the file is its owner's.

    Args:
        config: the stack's.
        servers: Kafka's addresses; empty for the container.
    """
    outside = any(config[name] != "container" for name in ("postgres", "redis", "kafka"))
    with_metrics = "monitoring" in config["profiles"].split(",")
    return {
        "COMPOSE_PROFILES": config["profiles"],
        "MILLRACE_PULL": "missing",
        "MILLRACE_NETWORK_INTERNAL": "false" if outside else "true",
        "POSTGRES_CONTAINERS": "1" if config["postgres"] == "container" else "0",
        "REDIS_CONTAINERS": "1" if config["redis"] == "container" else "0",
        "BROKER_CONTAINERS": "1" if config["redis"] == "container" else "0",
        "KAFKA_CONTAINERS": "1" if config["kafka"] == "container" else "0",
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": servers or "kafka:9092",
        "MILLRACE_PUSHGATEWAY_URL": "http://pushgateway:9091" if with_metrics else "",
    }


def secrets(config: Config, secret: Secret) -> dict[str, str]:
    """The files of `secrets/` that the stack decides; `millrace init` makes the others.

    Args:
        config: the stack's.
        secret: from a secret's ARN to its text.
    """
    password = _password(secret(config["postgres_secret"]))
    made = {"postgres_password": password, "postgres_url": _postgres(config, password)}
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


def _postgres(config: Config, password: str) -> str:
    host = config["postgres_host"] or "postgres"
    encrypted = "?sslmode=require" if config["postgres"] == "rds" else ""
    return f"postgresql://millrace:{quote(password, safe='')}@{host}:5432/millrace{encrypted}"


def _kafka(config: Config, secret: Secret) -> str:
    """MILLRACE_KAFKA_OPTIONS."""
    if config["kafka"] == "external":
        return secret(config["kafka_secret"]) if config["kafka_secret"] else ""
    if config["kafka"] == "msk-scram":
        user = json.loads(secret(config["kafka_secret"]))
        own = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user["username"], "sasl.password": user["password"]}
        return json.dumps({"security.protocol": "SASL_SSL", "ssl.ca.location": _AMAZONS_CAS, **own})
    return ""


def _password(text: str) -> str:
    return str(json.loads(text)["password"])
