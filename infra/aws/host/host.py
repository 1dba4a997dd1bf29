"""Start Millrace on its EC2 host, and tell CloudFormation whether it is healthy.

    host.py start             the volume, the release, the settings, the containers; safe to repeat
    host.py signal SUCCESS    or FAILURE: what the stack's creation waits for

What belongs here: the order of things, and the calls to AWS and Docker. What does not: which parameter becomes which
setting (`stack`), and the volume (`volume`). Runs with Ubuntu's own Python and boto3, as root.
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
import stack
import volume

RELEASE = volume.MOUNT / "release"
LINK = Path("/opt/millrace")
DEPLOYMENT = RELEASE / "infra" / "docker"
STATE = volume.MOUNT / "applied.json"


def main(arguments: list[str]) -> None:
    """One of the two commands."""
    if arguments == ["start"]:
        start(os.environ["MILLRACE_STACK"], Path(os.environ["MILLRACE_RELEASE"]))
    elif len(arguments) == 2 and arguments[0] == "signal":
        signal(os.environ["MILLRACE_STACK"], arguments[1])
    else:
        sys.exit(__doc__)


def start(name: str, delivered: Path) -> None:
    """From an instance that has booted to containers that are healthy."""
    config = read_config(name)
    volume.take(boto3.client("ec2"), config["volume"], volume.instance_id())
    volume.mount(config["volume"])
    applied = json.loads(STATE.read_text()) if STATE.exists() else {}
    bring_release(config, applied, delivered)
    subprocess.run(["systemctl", "start", "docker"], check=True)
    image = f"{config['image']}{'@' if config['tag'].startswith('sha256:') else ':'}{config['tag']}"
    write_settings(config, image, changed=image != applied.get("image"))
    compose = ["docker", "compose", "--project-directory", str(LINK / "infra" / "docker")]
    subprocess.run([*compose, "up", "--detach", "--wait", "--wait-timeout", "1200", "--remove-orphans"], check=True)
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
    with urllib.request.urlopen(address, timeout=60) as answer, tarfile.open(fileobj=answer, mode="r|gz") as archive:
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
        replace(folder / file, text, 0o644)  # the folder keeps others out; containers' users have other ids
    prepare_proxy(config, client.get_secret_value(SecretId=config["proxy_secret"])["SecretString"], folder)
    options = ["--rm", "--network", "none", "--user", "0", "--volume", f"{DEPLOYMENT}:/deployment"]
    subprocess.run(["docker", "run", *options, image, "init", "--directory", "/deployment"], check=True)
    lines = stack.lines(config, brokers(config))
    if changed:  # else what a deployment has put there since stays
        lines["MILLRACE_IMAGE"] = image
    settings = DEPLOYMENT / ".env"
    kept = [line for line in settings.read_text().splitlines() if line.partition("=")[0] not in lines]
    replace(settings, "\n".join([*kept, *(f"{k}={v}" for k, v in lines.items())]) + "\n", 0o600)


def brokers(config: dict[str, str]) -> str:
    """Kafka's addresses; CloudFormation does not know those of MSK."""
    if not config["kafka_cluster"]:
        return config["kafka_servers"]
    answer: dict[str, Any] = boto3.client("kafka").get_bootstrap_brokers(ClusterArn=config["kafka_cluster"])
    return answer["BootstrapBrokerStringSaslScram"]


def prepare_proxy(config: dict[str, str], text: str, folder: Path) -> None:
    """A login, and a certificate of our own until its owner puts a better one in its place; what is there stays."""
    users, certificate, key = (folder / name for name in ("proxy_users", "proxy_certificate", "proxy_key"))
    if not users.exists() or not users.read_text().strip():
        login = json.loads(text)
        command = ["openssl", "passwd", "-6", "-stdin"]
        hashed = subprocess.run(command, input=login["password"], capture_output=True, text=True, check=True)
        replace(users, f"{login['username']}:{hashed.stdout.strip()}\n", 0o644)
    if not certificate.exists() or not certificate.read_text().strip():
        made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "825", "-subj", f"/CN={config['domain']}"]
        names = ["-addext", f"subjectAltName=DNS:{config['domain']}"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(["openssl", "req", *made, *names, *files], check=True, capture_output=True)
        for file in (key, certificate):
            file.chmod(0o644)  # as all of this folder, which keeps others out


def replace(path: Path, text: str, mode: int) -> None:
    """Write a file in one step: who reads it finds the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


def signal(name: str, status: str) -> None:
    """End CloudFormation's waiting; later there is none, and that is no error."""
    client = boto3.client("cloudformation")
    try:
        client.signal_resource(StackName=name, LogicalResourceId="Host", UniqueId=volume.instance_id(), Status=status)
    except client.exceptions.ClientError as error:
        print("CloudFormation does not wait:", error)  # noqa: T201 - the journal reads it


if __name__ == "__main__":
    main(sys.argv[1:])
