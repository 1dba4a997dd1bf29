"""`millrace init`: files that a Compose deployment starts from, with secrets of their own, never overwritten."""

import json
import re
import stat
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from click.testing import CliRunner

from infra.docker import deployment_files
from orchestration.cli.init import init
from orchestration.settings import PLACES, Settings, load, variable

DOCKER = Path(__file__).parents[2] / "infra" / "docker"


def _env(directory: Path) -> dict[str, str]:
    lines = (directory / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_writes_every_secret_that_compose_names_and_says_what_to_do_next(tmp_path: Path) -> None:
    done = CliRunner().invoke(init, ["--directory", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "docker compose up" in done.output
    named = {
        Path(each["file"]).name for each in yaml.safe_load((DOCKER / "compose.yaml").read_text())["secrets"].values()
    }
    assert named <= {path.name for path in (tmp_path / "secrets").iterdir()}


def test_addresses_and_servers_are_given_the_same_passwords_and_nobody_else_has_them(tmp_path: Path) -> None:
    for directory in (tmp_path / "a", tmp_path / "b"):
        deployment_files.initialise(directory)
    found = {path.name: path.read_text() for path in (tmp_path / "a" / "secrets").iterdir()}
    assert urlsplit(found["postgres_owner_url"]).password == found["postgres_password"]
    for server, address in (("redis.conf", "redis_url"), ("broker.conf", "broker_url")):
        assert found[server] == f"requirepass {urlsplit(found[address]).password}\n"
    addresses = ("postgres_url", "postgres_owner_url", "redis_url", "broker_url")
    passwords = [*(urlsplit(found[name]).password for name in addresses)]
    passwords += [found["analyst_password"], found["grafana_password"]]
    assert len(set(passwords)) == 6
    assert all(len(password or "") >= 32 for password in passwords)
    for name in ("postgres_password", "redis.conf", "broker.conf", "analyst_password", "grafana_password"):
        assert (tmp_path / "b" / "secrets" / name).read_text() != found[name]
    assert json.loads(found["kafka_options"]) == {}


def test_the_processes_are_not_the_owner_of_the_database_unless_somebody_brought_an_address(tmp_path: Path) -> None:
    deployment_files.initialise(tmp_path / "ours")
    ours = {path.name: path.read_text() for path in (tmp_path / "ours" / "secrets").iterdir()}
    assert urlsplit(ours["postgres_owner_url"]).username == "millrace"
    assert urlsplit(ours["postgres_url"]).username == deployment_files.SERVICE_ROLE
    (tmp_path / "theirs" / "secrets").mkdir(parents=True)
    (tmp_path / "theirs" / "secrets" / "postgres_url").write_text("postgresql://them:password@db.example.org/events")
    deployment_files.initialise(tmp_path / "theirs")
    assert (tmp_path / "theirs" / "secrets" / "postgres_owner_url").read_text() == ""
    assert "them" in (tmp_path / "theirs" / "secrets" / "postgres_url").read_text()


def test_nobody_else_on_the_host_can_read_them(tmp_path: Path) -> None:
    deployment_files.initialise(tmp_path)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_what_is_there_is_never_overwritten_and_what_is_missing_is_made(tmp_path: Path) -> None:
    deployment_files.initialise(tmp_path)
    (tmp_path / ".env").write_text("mine")
    (tmp_path / "secrets" / "grafana_password").unlink()
    (tmp_path / "secrets" / "redis_url").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in deployment_files.initialise(tmp_path)} == {"grafana_password", "redis_url"}
    assert all(path.read_bytes() == content for path, content in before.items())
    assert deployment_files.initialise(tmp_path) == []
    password = (tmp_path / "secrets" / "redis.conf").read_text().removeprefix("requirepass ").strip()
    assert urlsplit((tmp_path / "secrets" / "redis_url").read_text()).password == password


def test_an_address_without_its_password_is_refused(tmp_path: Path) -> None:
    deployment_files.initialise(tmp_path)
    (tmp_path / "secrets" / "postgres_password").unlink()
    done = CliRunner().invoke(init, ["--directory", str(tmp_path)])
    assert done.exit_code == 1
    assert "postgres_password" in done.output
    assert not (tmp_path / "secrets" / "postgres_password").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(init, ["--directory", str(tmp_path / "file" / "below")])
    assert done.exit_code == 1
    assert "cannot be written" in done.output


def test_its_settings_are_settings_and_are_right(tmp_path: Path) -> None:
    deployment_files.initialise(tmp_path)
    found = _env(tmp_path)
    load({**PLACES, **found})
    text = (tmp_path / ".env").read_text()
    for_compose = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    known = (
        {variable(name) for name in Settings.model_fields} | for_compose | {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}
    )
    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)) <= known
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", found["KAFKA_CLUSTER_ID"])


def test_the_example_beside_compose_is_what_it_writes_without_the_random_part() -> None:
    assert (DOCKER / ".env.example").read_text() == deployment_files.template()
