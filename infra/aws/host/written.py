"""Files of the host that somebody else may have changed, or that others trust: each is replaced in one step.

What belongs here: their content and their permissions. What does not: when they are written (`host`), and what the
stack says (`stack`).
"""

import json
import subprocess
import urllib.request
from pathlib import Path

import stack

_AUTHORITIES = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"


def replace(path: Path, text: str, mode: int) -> None:
    """Write a file in one step: who reads it finds the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


def merge(settings: Path, lines: dict[str, str], *, outside: bool) -> None:
    """Put the stack's lines into `.env`; all others are its owner's and stay."""
    found = settings.read_text().splitlines()
    now = next((line.partition("=")[2] for line in reversed(found) if line.startswith("COMPOSE_FILE=")), "")
    lines = {**lines, "COMPOSE_FILE": stack.files(now, outside=outside)}
    kept = [line for line in found if line.partition("=")[0] not in lines]
    replace(settings, "\n".join([*kept, *(f"{k}={v}" for k, v in lines.items())]) + "\n", 0o600)


def fetch_authorities(place: Path) -> None:
    """RDS's certificates are signed by authorities that no system knows. Those of the last start will do, too."""
    try:
        with urllib.request.urlopen(_AUTHORITIES, timeout=30) as answer:  # nosec B310 - a fixed address
            text = answer.read().decode()
    except OSError:
        if not place.exists():
            raise
    else:
        replace(place, text, 0o644)


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
