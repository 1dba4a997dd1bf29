"""Start Millrace on its EC2 host, and tell CloudFormation whether it is healthy.

    host.py start             the volume, the release, the settings, the containers; safe to repeat
    host.py signal            that it is healthy, for which the stack's creation waits
    host.py token             a new one for Kafka, where Kafka wants one

What belongs here: the order of things, and the calls to AWS and Docker. What does not: which parameter becomes which
setting (`stack`), the volume (`volume`), and what is in files (`written`). Runs with Ubuntu's own Python and boto3, as
root.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import kafka_token
import stack
import volume
import written

RELEASE = volume.MOUNT / "release"
LINK = Path("/opt/millrace")
DEPLOYMENT = RELEASE / "infra" / "docker"
STATE = volume.MOUNT / "applied.json"
OUTSIDE = volume.MOUNT / "outside"


def main(arguments: list[str]) -> None:
    """One of the three commands."""
    if arguments == ["start"]:
        start(os.environ["MILLRACE_STACK"], Path(os.environ["MILLRACE_RELEASE"]))
    elif arguments == ["signal"]:
        signal(os.environ["MILLRACE_STACK"])
    elif arguments == ["token"]:
        kafka_token.renew(read_config(os.environ["MILLRACE_STACK"]), OUTSIDE / "kafka_token")
    else:
        sys.exit(__doc__)


def start(name: str, delivered: Path) -> None:
    """From an instance that has booted to containers that are healthy."""
    config = read_config(name)
    volume.take(boto3.client("ec2"), config["volume"], volume.instance_id())
    volume.mount(config["volume"])
    applied = json.loads(STATE.read_text()) if STATE.exists() else {}
    bring_release(config, applied, delivered)
    prepare_outside(config)
    subprocess.run(["systemctl", "start", "docker"], check=True)
    image = f"{config['image']}{'@' if config['tag'].startswith('sha256:') else ':'}{config['tag']}"
    write_settings(config, image, changed=image != applied.get("image"))
    compose = ["docker", "compose", "up", "--detach", "--wait", "--wait-timeout", "1200", "--remove-orphans"]
    subprocess.run(compose, check=True, cwd=LINK / "infra" / "docker")
    STATE.write_text(json.dumps({"image": image, "ref": config["ref"]}))


def read_config(name: str) -> dict[str, str]:
    """What the stack wants now."""
    answer = boto3.client("ssm").get_parameter(Name=f"/millrace/{name}/config")
    return json.loads(answer["Parameter"]["Value"])


def bring_release(config: dict[str, str], applied: dict[str, str], delivered: Path) -> None:
    """Put infra/ of the wanted release on the volume, beside .env and secrets/, which stay."""
    if applied.get("ref") != config["ref"]:
        if (volume.MOUNT / "applied.json").exists():
            delivered = fetch(config)
        shutil.copytree(delivered, RELEASE, dirs_exist_ok=True)
    if not LINK.is_symlink():
        LINK.symlink_to(RELEASE)


def fetch(config: dict[str, str]) -> Path:
    """The release of a stack that was updated since the host was made."""
    place = Path(tempfile.mkdtemp(prefix="millrace-"))
    address = f"https://github.com/{config['repository']}/archive/{config['ref']}.tar.gz"
    # The scheme is written out above.
    with (
        urllib.request.urlopen(address, timeout=60) as answer,  # nosec B310
        tarfile.open(fileobj=answer, mode="r|gz") as archive,
    ):
        archive.extractall(place, filter="data")
    [top] = place.iterdir()
    return top


def write_settings(config: dict[str, str], image: str, *, changed: bool) -> None:
    """Files that the stack decides, then what is missing, by `millrace init` of the image itself."""
    folder = DEPLOYMENT / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    client = boto3.client("secretsmanager")
    wanted = stack.secrets(config, lambda arn: client.get_secret_value(SecretId=arn)["SecretString"])
    for file, text in wanted.items():
        written.replace(folder / file, text, 0o644)  # the folder keeps others out; containers' users have other ids
    written.prepare_proxy(config, client.get_secret_value(SecretId=config["proxy_secret"])["SecretString"], folder)
    options = ["--rm", "--network", "none", "--user", "0", "--volume", f"{DEPLOYMENT}:/deployment"]
    subprocess.run(["docker", "run", *options, image, "init", "--directory", "/deployment"], check=True)
    lines = stack.lines(config, brokers(config))
    if changed:  # else what a deployment has put there since stays
        lines["MILLRACE_IMAGE"] = image
    written.merge(DEPLOYMENT / ".env", lines, outside=stack.needs_outside(config))


def prepare_outside(config: dict[str, str]) -> None:
    """What containers need to trust RDS and to be trusted by MSK, before the first of them starts."""
    OUTSIDE.mkdir(mode=0o755, exist_ok=True)
    if config["postgres"] == "rds":
        written.fetch_authorities(OUTSIDE / "rds.pem")
    (OUTSIDE / "rds.pem").touch(0o644)  # Grafana's container is given this file, whoever else is a service of Amazon's
    kafka_token.renew(config, OUTSIDE / "kafka_token")


def brokers(config: dict[str, str]) -> str:
    """Kafka's addresses; CloudFormation does not know those of MSK."""
    if not config["kafka_cluster"]:
        return config["kafka_servers"]
    answer: dict[str, Any] = boto3.client("kafka").get_bootstrap_brokers(ClusterArn=config["kafka_cluster"])
    return answer["BootstrapBrokerStringSaslIam" if config["kafka"] == "msk-iam" else "BootstrapBrokerStringSaslScram"]


def signal(name: str) -> None:
    """End CloudFormation's waiting; later there is none, and that is no error."""
    client = boto3.client("cloudformation")
    try:
        client.signal_resource(
            StackName=name, LogicalResourceId="Host", UniqueId=volume.instance_id(), Status="SUCCESS"
        )
    except client.exceptions.ClientError as error:
        print("CloudFormation does not wait:", error)  # noqa: T201 - the journal reads it


if __name__ == "__main__":
    main(sys.argv[1:])
