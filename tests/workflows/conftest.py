"""Stand-ins for the programs that a deployment calls: they write down what they were asked, and fail on demand.

What belongs here: the stand-ins. A deployment on a real engine is a matter of `make test-containers`.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflows.workflows import ROOT

# Each call becomes a line of `calls`; a line of `failing` is a pattern of
# calls that fail; the files of `answers` are tried in order: a pattern, and what calls that match it print.
_STAND_IN = """#!/usr/bin/env bash
call="${0##*/} $*${MILLRACE_IMAGE:+ [$MILLRACE_IMAGE]}"
echo "$call" >>"$STAND_INS/calls"
[[ $1 == compose ]] && pwd >>"$STAND_INS/places"
while IFS= read -r pattern; do
    # shellcheck disable=SC2053
    [[ $call == $pattern ]] && exit 1
done <"$STAND_INS/failing"
for answer in "$STAND_INS"/answers/*; do
    [[ -f $answer ]] || continue
    pattern=$(head -n 1 "$answer")
    # shellcheck disable=SC2053
    [[ $call == $pattern ]] && { tail -n +2 "$answer" | sed "s/NOW/$(date +%N)/"; exit 0; }
done
exit 0
"""


@dataclass(frozen=True)
class StandIns:
    """A folder of programs that goes before the PATH."""

    folder: Path

    @property
    def calls(self) -> list[str]:
        """What was called, in order."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def places(self) -> set[str]:
        """Where Compose was called."""
        return set((self.folder / "places").read_text().splitlines())

    def fail(self, *patterns: str) -> None:
        """Calls that match (as the shell matches) fail from now on."""
        (self.folder / "failing").write_text("".join(f"{pattern}\n" for pattern in patterns))

    def answer(self, pattern: str, text: str) -> None:
        """What calls that match print; the first that matches counts. NOW is another number at each call."""
        answers = self.folder / "answers"
        (answers / f"{len(list(answers.iterdir())):03}").write_text(f"{pattern}\n{text}\n")

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the repository with the stand-ins instead of the real programs."""
        own = {"PATH": f"{self.folder}:{os.environ['PATH']}", "STAND_INS": str(self.folder), **environment}
        command = [str(ROOT / script), *arguments]
        return subprocess.run(
            command, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def stand_ins(tmp_path: Path) -> StandIns:
    """Stand-ins for docker, aws and gh."""
    folder = tmp_path / "programs"
    (folder / "answers").mkdir(parents=True)
    for name in ("docker", "aws", "gh"):
        (folder / name).write_text(_STAND_IN)
        (folder / name).chmod(0o755)
    made = StandIns(folder)
    made.fail()
    return made
