"""Runs what `docs/analysts.md` shows, as an analyst, on the shop of `story`, and writes down what comes out.

    python -m tests.access.cookbook      # writes the outputs in docs/analysts.md anew

What belongs here: finding the blocks, running them, replacing the outputs. What does not: the queries (they are in the
document). A block is run if it is `sql` (by psql), `sh` (by bash) or `python`; a `text` block right after it is its
output. A `console` block is not run.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import sqlalchemy
from psycopg import conninfo

from infra.local import binaries
from infra.local.harness import running
from infra.postgres.analyst_role import ROLE, Analysts
from infra.postgres.migrate import migrate
from tests.access import story
from tests.support.world import World, encoded, fresh_world

DOCUMENT = Path(__file__).parents[2] / "docs" / "analysts.md"
PASSWORD = "example"
_FIRST_DAY = "2026-10-26"
_BLOCK = re.compile(r"```(sql|sh|python)\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)


def open_shop(world: World) -> str:
    """Store the story through the real ingest and refresh the aggregates; the URL for an analyst.

    Some events come late, some twice, and three records are no events. Days from the 26th of October on have
    partitions of their own, whenever this runs.
    """
    migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))
    world.query("drop table raw.events_old")
    world.query(
        f"create table raw.events_old partition of raw.events for values from (minvalue) to ('{_FIRST_DAY} 00:00Z')"
    )
    events = story.events()
    in_time = [each for each in events if not story.late(each)]
    nobody = {**events[0], "eventId": "no user", "payload": {"page": "/"}}
    for values in (encoded(*in_time, *in_time[:5]), encoded(*filter(story.late, events), nobody, {}), [b"garbage"]):
        world.produce(values)
        world.ingest()
        world.refresh()
    world.query("analyze")
    url = sqlalchemy.make_url(world.settings.postgres_url).set(username=ROLE, password=PASSWORD)
    return url.render_as_string(hide_password=False)


def rerun(text: str, url: str) -> str:
    """The document with the output of each block that shows one as it is now.

    Raises:
        AssertionError: a block failed; with what it said.
    """

    def replaced(found: re.Match[str]) -> str:
        kind, code, shown = found.groups()
        output = _run(kind, code, url)
        block = f"```{kind}\n{code}```\n"
        return block if shown is None else f"{block}\n```text\n{output}```\n"

    return _BLOCK.sub(replaced, text)


def _run(kind: str, code: str, url: str) -> str:
    psql = binaries.postgres("psql")
    command = {
        "sql": (str(psql), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"),
        "sh": ("bash", "-euo", "pipefail", "-s"),
        "python": (sys.executable, "-"),
    }[kind]
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            command,
            env=_environment(url, psql.parent),
            cwd=directory,
            input=code,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
    assert done.stderr == "", f"{code}\n{done.stderr}"
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.rstrip().splitlines())


def _environment(url: str, programs: Path) -> dict[str, str]:
    """What an analyst has set; psql without arguments goes where the URL goes."""
    parts = conninfo.conninfo_to_dict(url)
    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "MILLRACE_ANALYST_URL": url,
        **{variable: str(parts[name]) for name, variable in names.items()},
    }


def main() -> None:
    """Write the outputs anew, on services started for it."""
    with tempfile.TemporaryDirectory() as directory, running(Path(directory) / "services") as services:
        (Path(directory) / "world").mkdir()
        with fresh_world(services, Path(directory) / "world") as world:
            url = open_shop(world)
            DOCUMENT.write_text(rerun(DOCUMENT.read_text(encoding="utf-8"), url), encoding="utf-8")


if __name__ == "__main__":
    main()
