"""The scheduled workflow looks at every locked file and at every value for longer than the tests do."""

from tests.workflows.workflows import ROOT, steps, workflows


def scripts() -> list[str]:
    return [step.content["run"] for step in steps() if step.workflow == "watch.yml" and "run" in step.content]


def test_it_runs_by_itself_each_day() -> None:
    assert workflows()["watch.yml"][True]["schedule"] == [{"cron": "43 3 * * *"}]
    assert scripts() == ["make audit", "make fuzz FUZZ_SECONDS=1200"]


def test_the_audit_looks_at_every_file_of_locked_packages_and_fails_for_what_it_cannot_judge() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\naudit:")[2].partition("\n.PHONY")[0]
    assert "for file in requirements/*.txt" in recipe
    assert "--strict" in recipe


def test_each_file_of_locked_packages_has_hashes_for_the_audit() -> None:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(files) >= 8
    assert [file.name for file in files if "--hash=sha256:" not in file.read_text(encoding="utf-8")] == []
