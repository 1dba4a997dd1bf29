"""Every pod of infra/kubernetes: how little it may, what it needs, how it is asked if it works, and how it ends."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from orchestration.cli import _cli as cli  # pyright: ignore[reportPrivateUsage] - what `millrace` is
from orchestration.secret_files import with_files
from orchestration.settings import load
from tests.kubernetes.manifests import FOLDER, ROOT, Pod, named, of_kind, pods, settings, values

DEPLOYMENTS = sorted(document["metadata"]["name"] for document in of_kind("Deployment"))
EVERY = sorted(pods())
CHART = ("dagsterWebserver", "dagsterDaemon")
SECRETS = "/run/secrets/millrace"
EXAMPLES = {
    "postgres-url": "postgresql://millrace:secret@postgres:5432/millrace\n",
    "migrate-postgres-url": "postgresql://owner:secret@postgres:5432/millrace",
    "redis-url": "redis://claims:6379/0",
    "broker-url": "redis://broker:6379/0",
    "kafka-options": '{"security.protocol": "SSL"}',
    "analyst-password": "secret",
}


def restricted(pod: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    """What the pod security standard "restricted" asks for, and a root file system that nobody writes to."""
    return (
        pod["runAsNonRoot"]
        and (pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) == (10001, 10001, 10001)
        and pod["seccompProfile"] == {"type": "RuntimeDefault"}
        and container["allowPrivilegeEscalation"] is False
        and container["readOnlyRootFilesystem"] is True
        and container["capabilities"] == {"drop": ["ALL"]}
    )


@pytest.mark.parametrize("name", EVERY)
def test_a_pod_is_nobody_may_nothing_and_writes_nowhere_but_to_volumes_of_its_own(name: str) -> None:
    pod = pods()[name]
    assert restricted(pod.spec["securityContext"], pod.container["securityContext"])
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False
    assert len(pod.spec["containers"]) == 1
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
    assert {mount["mountPath"] for mount in pod.container["volumeMounts"]} == {SECRETS, "/tmp", "/var/lib/millrace"}
    assert all(set(volume) <= {"name", "secret", "emptyDir"} for volume in pod.spec["volumes"])


@pytest.mark.parametrize("part", CHART)
def test_a_pod_of_the_chart_is_as_restricted_as_ours(part: str) -> None:
    told = values()[part]
    assert restricted(told["podSecurityContext"], told["securityContext"])
    assert told["resources"]["limits"].keys() == {"cpu", "memory"}
    assert told["checkDbReadyInitContainer"] is False  # it would be an image of somebody else's
    assert values()["rbacEnabled"] is False  # it mounts a token whatever one says; this one may nothing


@pytest.mark.parametrize("name", EVERY)
def test_a_container_says_what_it_needs_and_takes_no_more(name: str) -> None:
    resources = pods()[name].container["resources"]
    assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", EVERY)
def test_a_container_starts_with_a_command_that_millrace_has(name: str) -> None:
    command, *rest = pods()[name].container["args"]
    parse(command, rest)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_process_is_asked_for_its_health_by_its_own_role(name: str) -> None:
    container = pods()[name].container
    role = [word for word in container["args"][:2] if not word.startswith("-")]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"] == ["millrace", "health", *role]
        assert container[probe]["timeoutSeconds"] > 5  # what `millrace health` may take
    parse("health", role)


def parse(command: str, arguments: list[str]) -> None:
    """Let the command line read a command without running it; click raises what is wrong with it."""
    with click.Context(cli) as context:
        found = cli.get_command(context, command)
        assert found is not None, f"there is no `millrace {command}`"
        found.make_context(command, list(arguments), parent=context).close()


@pytest.mark.parametrize("name", [name for name in DEPLOYMENTS if name.startswith("worker-")])
def test_a_worker_has_time_to_end_its_runs(name: str) -> None:
    assert pods()[name].spec["terminationGracePeriodSeconds"] > 25 + 20  # a run's end, and what Kubernetes itself takes


def test_there_is_one_of_what_there_must_be_one_of() -> None:
    for name in ("daemon", "worker-aggregates"):
        document = named("Deployment", name)
        assert (document["spec"]["replicas"], document["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert pods()["code-server"].replicas == 1


def test_every_container_runs_the_one_image_in_the_version_of_this_package() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    images = {pod.container["image"] for pod in pods().values()}
    assert len(images) == 1
    repository, tag = images.pop().split(":")
    assert f'version = "{tag}"' in pyproject
    assert values()["dagsterWebserver"]["image"] == values()["dagsterDaemon"]["image"]
    assert values()["dagsterWebserver"]["image"].items() >= {"repository": repository, "tag": tag}.items()
    for path in FOLDER.rglob("kustomization.yaml"):
        for image in yaml.safe_load(path.read_text()).get("images", []):
            assert image == {"name": repository, "newTag": tag}, path


def test_no_secret_is_in_an_environment() -> None:
    for pod in pods().values():
        assert all("configMapRef" in source for source in pod.container.get("envFrom", []))
        assert all("valueFrom" not in variable for variable in pod.container.get("env", []))
    for part in CHART:
        assert not values()[part].get("envSecrets")
        assert all("valueFrom" not in variable for variable in values()[part]["env"])


@pytest.mark.parametrize("name", EVERY)
def test_the_settings_are_complete_once_the_secrets_are_there(name: str, tmp_path: Path) -> None:
    for file, text in EXAMPLES.items():
        (tmp_path / file).write_text(text)
    environment = {key: value.replace(SECRETS, str(tmp_path)) for key, value in environment_of(pods()[name]).items()}
    found = load(with_files(environment))
    assert found.postgres_url == EXAMPLES["postgres-url"].strip()
    assert found.kafka_options == {"security.protocol": "SSL"}
    owners = (found.analyst_password, found.migrate_postgres_url)
    assert (None not in owners) if name == "migrate" else (owners == (None, None))


def test_the_secret_of_the_owner_is_given_to_the_migration_and_to_nobody_else() -> None:
    given = {name: mounted(pod.spec["volumes"]) for name, pod in pods().items()}
    given |= {part: mounted(values()[part]["volumes"]) for part in CHART}
    assert given.pop("migrate") == {"millrace-migrate"}
    assert set(map(frozenset, given.values())) == {frozenset({"millrace"})}


def mounted(volumes: list[Mapping[str, Any]]) -> set[str]:
    """The Secrets among volumes."""
    return {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}


def test_the_secret_that_everybody_has_holds_what_the_settings_ask_for_and_no_password_of_others() -> None:
    made = secrets_of_the_readme()
    asked = {Path(path).name for name, path in settings().items() if name.endswith("_FILE")}
    assert made["millrace"] == asked
    assert made["millrace-migrate"] == asked | {"migrate-postgres-url", "analyst-password"}
    assert {Path(path).name for name, path in environment_of(pods()["migrate"]).items() if name.endswith("_FILE")} == (
        made["millrace-migrate"]
    )


def secrets_of_the_readme() -> dict[str, set[str]]:
    """The Secrets that README.md makes, and the files in each."""
    text = (FOLDER / "README.md").read_text().replace("\\\n", " ")
    made = re.findall(r"create secret generic (\S+)(.*)", text)
    return {name: set(re.findall(r"--from-file=(\S+)", files)) for name, files in made}


def environment_of(pod: Pod) -> dict[str, str]:
    return {**settings(), **{variable["name"]: variable["value"] for variable in pod.container.get("env", [])}}


def test_dagsters_home_is_made_in_a_volume() -> None:
    home = Path(settings()["DAGSTER_HOME"])
    assert home.parent == Path("/var/lib/millrace")
    assert str(home) in {variable["value"] for part in CHART for variable in values()[part]["env"]}
