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


def answer(stand_ins: StandIns, label: str = "1.2.3") -> None:
    """A registry with one image, whose label names a release."""
    platforms = f'"manifests": [{{"digest": "sha256:{"c" * 64}"}}]'
    stand_ins.answer("docker buildx imagetools inspect *.Manifest*", f'{{"digest": "{HASH}", {platforms}}}')
    stand_ins.answer(
        "docker buildx imagetools inspect *.Image*",
        f'{{"linux/amd64": {{"config": {{"Labels": {{"org.opencontainers.image.version": "{label}"}}}}}}}}',
    )


@pytest.mark.parametrize("image", ["1.2.3", f"@{HASH}", f"1.2.3@{HASH}", f"v1.2.3@{HASH}"])
def test_what_was_verified_is_what_will_be_deployed(image: str, stand_ins: StandIns, tmp_path: Path) -> None:
    answer(stand_ins)
    assert verify(stand_ins, image, tmp_path / "output") == 0
    assert (tmp_path / "output").read_text() == f"image={OURS}@{HASH}\n"
    [asked] = [call for call in stand_ins.calls if call.startswith("gh ")]
    assert asked.startswith(f"gh attestation verify oci://{OURS}@{HASH} --repo Some-Team/millrace ")


@pytest.mark.parametrize(
    ("image", "release"),
    [("1.2.3", "1.2.3"), (f"@{HASH}", "0.9.0-rc1"), (f"2.0.0-rc.1@{HASH}", "2.0.0-rc.1"), (f"v1.2.3@{HASH}", "1.2.3")],
)
def test_its_certificate_must_name_our_release_workflow_at_the_tag_of_that_release(
    image: str, release: str, stand_ins: StandIns, tmp_path: Path
) -> None:
    """Not the same file on a branch, where many can change it, and not another release under this name."""
    answer(stand_ins, "0.9.0-rc1")
    assert verify(stand_ins, image, tmp_path / "output") == 0
    options = next(call for call in stand_ins.calls if call.startswith("gh ")).split()
    workflow = "https://github.com/Some-Team/millrace/.github/workflows/release.yml"
    assert options[options.index("--cert-identity") + 1] == f"{workflow}@refs/tags/v{release}"
    assert options[options.index("--source-ref") + 1] == f"refs/tags/v{release}"
    assert "--deny-self-hosted-runners" in options
    assert not {"--signer-workflow", "--cert-identity-regex", "--signer-repo"} & set(options)


@pytest.mark.parametrize("label", ["dev", "1.2", "1.2.3 x", "../main", ""])
def test_a_digest_whose_label_names_no_release_is_deployed_only_if_somebody_names_it(
    label: str, stand_ins: StandIns, tmp_path: Path
) -> None:
    answer(stand_ins, label)
    assert verify(stand_ins, f"@{HASH}", tmp_path / "output") != 0
    assert [call for call in stand_ins.calls if call.startswith("gh ")] == []
    assert verify(stand_ins, f"1.2.3@{HASH}", tmp_path / "output") == 0


def test_an_image_that_somebody_else_built_is_not_deployed(stand_ins: StandIns, tmp_path: Path) -> None:
    answer(stand_ins)
    stand_ins.fail("gh attestation verify *")
    assert verify(stand_ins, "1.2.3", tmp_path / "output") != 0
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    "image", ["", "$(id)", "1;2", "other/image:1", "@sha256:12", "latest", "1.2", "main", "1.2.3@sha256:12", "1.2.3\n"]
)
def test_what_is_no_release_and_no_digest_is_refused_before_anybody_is_asked(
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


@pytest.mark.parametrize(
    "image", ["x; reboot", "1.2.3", f"{OURS}:1.2.3", f"@{HASH}", f"{OURS}:1.2.3@{HASH}", f"{OURS}@"]
)
def test_what_is_no_image_by_its_digest_never_reaches_the_host(image: str, stand_ins: StandIns) -> None:
    assert sent(stand_ins, image)[0] == 1
    assert stand_ins.calls == []
