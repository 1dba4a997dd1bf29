"""Runs the steps of the CI workflow here, one after the other, as GitHub's runner would: `make test-workflows`.

What belongs here: running `run:` blocks once each. What does not: actions (`uses:`), which prepare the runner.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable

from tests.workflows.workflows import ROOT, Step, steps

SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")  # what `shell: bash` means there


def chosen(workflow: str, jobs: Iterable[str]) -> list[Step]:
    """The steps with a script, of these jobs or of all; what a matrix repeats counts once."""
    wanted = set(jobs)
    return [s for s in steps() if s.workflow == workflow and "run" in s.content and (not wanted or s.job in wanted)]


def run(step: Step) -> int:
    """Run one step, and return its exit code."""
    own = {"CI": "true", **{name: str(value) for name, value in step.content.get("env", {}).items()}}
    return subprocess.run([*SHELL, step.content["run"]], cwd=ROOT, env={**os.environ, **own}, check=False).returncode


def main(arguments: list[str] | None = None) -> int:
    """Run all; 0 if each step ended well, 2 if there was none to run."""
    parser = argparse.ArgumentParser(prog="python -m tests.workflows.run_steps", description=__doc__)
    parser.add_argument("--workflow", default="ci.yml")
    parser.add_argument("--list", action="store_true", help="only say what would run")
    parser.add_argument("jobs", nargs="*", help="all by default")
    asked = parser.parse_args(arguments)
    found = chosen(asked.workflow, asked.jobs)
    failed: list[str] = []
    for step in found:
        title = f"{step.job}: {step.content['run'].strip()}"
        print(f"::: {title}", flush=True)
        began = time.monotonic()
        if not asked.list and (code := run(step)):
            failed.append(f"{title} ({code})")
        print(f"::: after {time.monotonic() - began:.0f} s", flush=True)
    print(f"::: {len(found)} steps, {len(failed)} failed {failed or ''}")
    return 2 if not found else int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
