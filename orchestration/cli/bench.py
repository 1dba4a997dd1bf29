"""`millrace bench`: the benchmarks of the repository, as `make bench` runs them.

What belongs here: finding and starting them. What does not: the measurements (`benchmarks`, beside the package).
"""

import subprocess
import sys
from pathlib import Path

import click

_ROOT = Path(__file__).parents[2]


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure Millrace against the limits of this machine (`millrace bench --help` for what can be chosen)."""
    if not (_ROOT / "benchmarks" / "__main__.py").is_file():
        click.echo(
            "the benchmarks come with the repository, not with the package: clone it and run `make bench`", err=True
        )
        sys.exit(2)
    sys.exit(subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=_ROOT, check=False).returncode)
