"""The workflows: pinned, with no right too many, and they tell no secret."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.workflows.run_steps import chosen
from tests.workflows.workflows import ROOT, jobs, steps, uses, workflows

# Who may write what, and nobody else: an image is pushed and signed, a deployment signs in at AWS, updates proposed.
WRITES = {
    ("release.yml", "image"): {"packages", "id-token", "attestations"},
    ("release.yml", "deploy"): {"id-token"},
    ("deploy.yml", "deploy"): {"id-token"},
    ("update.yml", "propose"): {"contents", "pull-requests"},
}


def test_everything_that_is_used_is_pinned_by_its_commit_and_says_which_version_that_is() -> None:
    ours = {"./.github/workflows/ci.yml", "./.github/workflows/deploy.yml"}
    loose = [(file, used) for file, used in uses() if used not in ours and not _pinned(used)]
    assert loose == []


def _pinned(used: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used) is not None


@pytest.mark.parametrize(
    "used", ["actions/checkout@v7 # v7.0.1", "actions/checkout@3d3c42e # v7.0.1", "docker://alpine:3", "./local"]
)
def test_what_is_not_pinned_is_found(used: str) -> None:
    assert not _pinned(used)


def test_one_action_has_one_version_everywhere() -> None:
    versions: dict[str, set[str]] = {}
    for _, used in uses():
        versions.setdefault(used.partition("@")[0], set()).add(used)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_a_workflow_has_no_rights_by_itself_and_each_job_names_its_own() -> None:
    assert [name for name, each in workflows().items() if each["permissions"] != {}] == []
    assert [(workflow, name) for workflow, name, job in jobs() if not isinstance(job.get("permissions"), dict)] == []


def test_only_releases_and_deployments_may_write() -> None:
    found: dict[tuple[str, str], set[str]] = {}
    for workflow, name, job in jobs():
        if writes := {right for right, level in job["permissions"].items() if level != "read"}:
            found[workflow, name] = writes
    assert found == WRITES


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step.content for step in steps() if step.content.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_workflow_uses_a_stored_secret() -> None:
    texts = {name: (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8") for name in workflows()}
    assert [name for name, text in texts.items() if re.search(r"secrets\s*[.\[:]", text)] == []


def test_no_script_is_told_anything_by_pasting_it_into_the_script() -> None:
    pasted = [step.content["run"] for step in steps() if "${{" in step.content.get("run", "")]
    assert pasted == []


def test_no_step_prints_its_environment_or_a_token() -> None:
    publisher = re.compile(r"\b(?:env|printenv|set -x)\b|(?:echo|printf|cat)\b.*(?:TOKEN|SECRET|PASSWORD)")
    assert [step.content["run"] for step in steps() if publisher.search(step.content.get("run", ""))] == []


def test_no_workflow_runs_what_a_stranger_wrote_with_the_rights_of_the_repository() -> None:
    starts: Mapping[str, set[str]] = {name: set(_triggers(each)) for name, each in workflows().items()}
    assert not set[str]().union(*starts.values()) & {"pull_request_target", "workflow_run", "issue_comment"}
    assert {name for name, on in starts.items() if "pull_request" in on} == {"ci.yml"}


def _triggers(workflow: Any) -> Any:
    return workflow[True]


def test_each_job_has_an_end_and_each_workflow_takes_its_turn() -> None:
    endless = [(w, name) for w, name, job in jobs() if "uses" not in job and not 0 < job["timeout-minutes"] <= 90]
    assert endless == []
    assert all("concurrency" in each for each in workflows().values())
    assert all(
        workflows()[name]["concurrency"]["cancel-in-progress"] is False for name in ("release.yml", "deploy.yml")
    )


def test_a_deployment_waits_for_whom_its_environment_names_and_takes_no_stored_key() -> None:
    job = workflows()["deploy.yml"]["jobs"]["deploy"]
    assert job["environment"] == "${{ inputs.environment }}"
    [signing_in] = [s["with"] for s in job["steps"] if "configure-aws-credentials" in s.get("uses", "")]
    assert "role-to-assume" in signing_in
    assert not {"aws-access-key-id", "aws-secret-access-key"} & signing_in.keys()


def test_a_release_is_built_from_what_was_tested_with_sbom_and_provenance() -> None:
    job = workflows()["release.yml"]["jobs"]["image"]
    assert job["needs"] == "ci"
    [build] = [s["with"] for s in job["steps"] if "build-push-action" in s.get("uses", "")]
    assert (build["sbom"], build["provenance"]) == (True, "mode=max")
    assert not {"cache-from", "cache-to"} & build.keys()
    [signed] = [s["with"] for s in job["steps"] if s.get("uses", "").startswith("actions/attest@")]
    assert signed["subject-digest"] == "${{ steps.build.outputs.digest }}"


def test_the_scripts_that_workflows_run_are_there_and_may_be_run() -> None:
    named = {name for step in steps() for name in re.findall(r"infra/[\w/.-]+\.sh", step.content.get("run", ""))}
    assert named == {"infra/aws/verify-image.sh", "infra/aws/deploy.sh", "infra/docker/pin-images.sh"}
    assert [name for name in named if not (ROOT / name).stat().st_mode & 0o100] == []


def test_a_job_that_may_write_to_the_repository_runs_no_script() -> None:
    writing = [job for _, _, job in jobs() if job["permissions"].get("contents") == "write"]
    assert len(writing) == 1
    assert [step for job in writing for step in job["steps"] if "run" in step] == []


def test_each_step_of_ci_is_one_that_runs_here_too() -> None:
    scripts = {step.content["run"].strip() for step in chosen("ci.yml", ())}
    targets = {script.split()[1] for script in scripts}
    assert all(script.startswith("make ") for script in scripts)
    tests = {"test", "test-postgres", "test-examples", "test-aws", "test-kubernetes", "test-containers"}
    assert targets == {"lint", "security", "actionlint", *tests}
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets <= made
