"""The manifests against Kubernetes' own schemas, and the values against the chart: `make test-kubernetes`.

What belongs here: what needs a package, a program or the network that the rest of the tests do without. Each test says
what it lacks; the versions of Kubernetes are those that are looked after in late 2026 and one that is not any more.
"""

import importlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.manifests import FOLDER, documents, values

VERSIONS = ("1.30", "1.33", "1.36")
OVERLAYS = (".", "chart", "migrate", "scaling")
CUSTOM = ("ScaledObject", "TriggerAuthentication")  # KEDA's own kinds: Kubernetes has no schema for them


def validator() -> Any:
    pytest.importorskip("kubernetes_validate", reason="make test-kubernetes")
    return importlib.import_module("kubernetes_validate")


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_manifest(version: str) -> None:
    checks = validator()
    for document in documents():
        if document["kind"] not in CUSTOM:
            checks.validate(document, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    checks = validator()
    document = next(document for document in documents() if document["kind"] == "Deployment")
    with pytest.raises(checks.ValidationError):
        checks.validate({**document, "spec": {**document["spec"], "replica": 1}}, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_folder_is_put_together_and_what_comes_out_is_taken(overlay: str) -> None:
    checks = validator()
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    built = subprocess.run(["kubectl", "kustomize", str(FOLDER / overlay)], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    for document in yaml.safe_load_all(built.stdout):
        assert document["metadata"].get("namespace", "millrace") == "millrace"
        if document["kind"] not in CUSTOM:
            checks.validate(document, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("part", ["dagsterWebserver", "dagsterDaemon"])
def test_a_pod_that_is_made_of_the_values_as_the_chart_makes_it_is_taken(part: str) -> None:
    validator().validate(pod_of_the_chart(part), VERSIONS[-1], strict=True)


def pod_of_the_chart(part: str) -> dict[str, Any]:
    """Where the chart puts the values, as far as they go into the pod as they are."""
    told = values()[part]
    probes = {name: {**told[name]} for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    probes["startupProbe"].pop("enabled")
    container = {
        "name": "dagster",
        "image": ":".join((told["image"]["repository"], told["image"]["tag"])),
        "imagePullPolicy": told["image"]["pullPolicy"],
        "env": told["env"],
        "envFrom": [{"configMapRef": source} for source in told["envConfigMaps"]],
        **{name: told[name] for name in ("securityContext", "resources", "volumeMounts")},
        **probes,
    }
    spec = {"containers": [container], "volumes": told["volumes"], "securityContext": told["podSecurityContext"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": told["labels"]}, "spec": spec}


def test_the_chart_takes_the_values_and_kubernetes_what_it_makes_of_them(tmp_path: Path) -> None:
    """Helm holds the values against the chart's own schema before it renders anything."""
    checks = validator()
    if shutil.which("helm") is None:
        pytest.skip("there is no helm")
    file = FOLDER / "chart" / "values.yaml"
    version = re.search(r"--version (\S+)", file.read_text())
    assert version is not None
    chart = ["dagster", "dagster", "--repo", "https://dagster-io.github.io/helm", "--version", version[1]]
    home = {"HOME": str(tmp_path), "PATH": str(Path(shutil.which("helm") or "").parent)}
    made = subprocess.run(
        ["helm", "template", *chart, "-n", "millrace", "-f", str(file)],  # -n: where ours are
        capture_output=True, text=True, timeout=120, env=home,
    )  # fmt: skip
    if re.search(r"no such host|dial tcp|timeout|cannot be reached", made.stderr):
        pytest.skip("the chart's repository cannot be reached")
    assert made.returncode == 0, made.stderr
    for document in yaml.safe_load_all(made.stdout):
        if document:
            checks.validate(document, VERSIONS[-1], strict=True)
