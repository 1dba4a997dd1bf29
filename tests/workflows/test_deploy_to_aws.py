"""What the workflow does to deploy: prove where the image comes from, have the host run it, and hear how it went."""

from pathlib import Path

import pytest

from tests.workflows.conftest import StandIns

HASH = "sha256:" + "b" * 64
RUNNER = {"GITHUB_REPOSITORY_OWNER": "Some-Team", "GITHUB_REPOSITORY": "Some-Team/millrace"}
OURS = "ghcr.io/some-team/millrace"


def verify(stand_ins: StandIns, image: str, output: Path) -> int:
    """Run it as a step of the workflow would."""
    return stand_ins.run("infra/aws/verify-image.sh", image, GITHUB_OUTPUT=str(output), **RUNNER).returncode


@pytest.mark.parametrize(("image", "asked"), [("1.2.3", f"{OURS}:1.2.3"), (f"@{HASH}", f"{OURS}@{HASH}")])
def test_what_was_verified_is_what_will_be_deployed(
    image: str, asked: str, stand_ins: StandIns, tmp_path: Path
) -> None:
    platforms = f'"manifests": [{{"digest": "sha256:{"c" * 64}"}}]'
    stand_ins.answer(
        f"docker buildx imagetools inspect {asked} *", f'{{"schemaVersion": 2, "digest": "{HASH}", {platforms}}}'
    )
    assert verify(stand_ins, image, tmp_path / "output") == 0
    assert (tmp_path / "output").read_text() == f"image={OURS}@{HASH}\n"
    [asked_gh] = [call for call in stand_ins.calls if call.startswith("gh ")]
    assert asked_gh.startswith(f"gh attestation verify oci://{OURS}@{HASH} --repo Some-Team/millrace ")
    assert asked_gh.endswith("--signer-workflow Some-Team/millrace/.github/workflows/release.yml")


def test_an_image_that_somebody_else_built_is_not_deployed(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.answer("docker *", f'{{"digest": "{HASH}"}}')
    stand_ins.fail("gh attestation verify *")
    assert verify(stand_ins, "1.2.3", tmp_path / "output") != 0
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("image", ["", "$(id)", "1;2", "other/image:1", "@sha256:12"])
def test_what_is_no_tag_and_no_digest_is_refused_before_anybody_is_asked(
    image: str, stand_ins: StandIns, tmp_path: Path
) -> None:
    assert verify(stand_ins, image, tmp_path / "output") != 0
    assert stand_ins.calls == []


def sent(stand_ins: StandIns, image: str = f"{OURS}@{HASH}", wait: int = 20) -> tuple[int, str]:
    """Deploy; the exit code and all that was said."""
    environment = {"DEPLOY_POLL_SECONDS": "0.01", "DEPLOY_WAIT_SECONDS": str(wait)}
    done = stand_ins.run("infra/aws/deploy.sh", "prod", image, **environment)
    return done.returncode, done.stdout + done.stderr


def test_the_host_of_the_stack_is_told_the_image_and_what_it_says_is_shown(stand_ins: StandIns) -> None:
    stand_ins.answer("aws ssm send-command *", "c-1")
    stand_ins.answer("aws ssm list-command-invocations *", "Success i-1")
    stand_ins.answer("aws ssm get-command-invocation *StandardOutput*", "deploy: deployed")
    code, said = sent(stand_ins)
    assert code == 0
    assert "deploy: deployed" in said
    assert "--document-name prod-deploy --targets Key=tag:millrace-stack,Values=prod" in stand_ins.calls[0]
    assert f"--parameters Image={OURS}@{HASH} " in stand_ins.calls[0]


@pytest.mark.parametrize("status", ["Failed", "TimedOut", "Cancelled"])
def test_a_deployment_that_the_host_rolled_back_fails_the_workflow_and_shows_why(
    status: str, stand_ins: StandIns
) -> None:
    stand_ins.answer("aws ssm send-command *", "c-1")
    stand_ins.answer("aws ssm list-command-invocations *", f"{status} i-1")
    stand_ins.answer("aws ssm get-command-invocation *StandardError*", "deploy: rolled back")
    code, said = sent(stand_ins)
    assert code == 1
    assert "deploy: rolled back" in said
    assert status in said


@pytest.mark.parametrize("answer", ["None", "InProgress i-1"])
def test_a_host_that_takes_nothing_or_never_ends_is_not_waited_for_for_ever(answer: str, stand_ins: StandIns) -> None:
    stand_ins.answer("aws ssm send-command *", "c-1")
    stand_ins.answer("aws ssm list-command-invocations *", answer)
    code, said = sent(stand_ins, wait=1)
    assert code == 1
    assert "no end after 1 s" in said


def test_what_is_no_image_never_reaches_the_host(stand_ins: StandIns) -> None:
    assert sent(stand_ins, "x; reboot")[0] == 1
    assert stand_ins.calls == []
