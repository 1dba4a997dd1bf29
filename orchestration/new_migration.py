"""Writes the migration that is missing: what the tables' metadata says and the migrations do not make yet.

What belongs here: finding the difference, on an embedded PostgreSQL that is there for this alone, and writing it down
as SQL. What does not: judging it. A person reads the `.sql` before it is committed: whether it works on tables that
hold rows, how long it locks them, and whether the release before can run on what it makes.

Rights are not in it: at its end every `millrace migrate` gives the analysts' and the processes' roles theirs on all
tables. Nor is filling: a table that is new lacks every day, and the days are rebuilt in the background.
"""

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.ops import CreateTableOp, MigrateOperation, OpContainer
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql

from assets.aggregates.catalog import metadata
from infra.local.harness import running
from infra.postgres.migrate import engine, migrate

MIGRATIONS = Path(__file__).parents[1] / "infra" / "postgres" / "migrations"
_TEXT = '''"""{title}"""

from pathlib import Path

from alembic import op

revision = "{number}"
down_revision = "{former}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Take it back."""
{back}
'''


def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    """Whether a table is in the metadata: partitions and Alembic's own are not."""
    return not (kind == "table" and re.fullmatch(r"events_(old|\d{8})|hour_members_\d|alembic_version", name or ""))


def in_our_schemas(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether a schema is compared."""
    return kind != "schema" or name in ("raw", "ops", "analytics")


COMPARED: dict[str, Any] = {
    "include_schemas": True,
    "include_object": ours,
    "include_name": in_our_schemas,
    "compare_type": True,
    "compare_server_default": True,
}
"""How a database is held against the metadata."""


def write(connection: sqlalchemy.Connection, migrations: Path = MIGRATIONS, name: str = "") -> Path | None:
    """Write the next migration; None where there is nothing to write.

    Args:
        connection: to a database that all migrations have run on.
        migrations: the folder of the migrations.
        name: what it is called; empty: by the tables that it makes.

    Returns:
        The `.sql`; the `.py` beside it runs it.
    """
    found = produce_migrations(MigrationContext.configure(connection, opts=COMPARED), metadata)
    forward, back = list(_flat([found.upgrade_ops])), list(_flat([found.downgrade_ops]))
    if not forward:
        return None
    tables = [each.table_name for each in forward if isinstance(each, CreateTableOp)]
    called = re.sub(r"\W+", "_", name or "_".join(tables) or "changes").lower()
    former = ScriptDirectory(migrations).get_current_head() or "0000"
    number = f"{int(former) + 1:04}"
    file = migrations / "versions" / f"{number}_{called}.sql"
    file.write_text("".join(f"{each};\n" for each in _sql(forward)), encoding="utf-8")
    title = f"The table {', '.join(tables)}." if tables else f"{called.replace('_', ' ').capitalize()}."
    steps = "\n".join(f"    op.execute({each!r})" for each in map(_lower, _sql(back)))
    text = _TEXT.format(title=title, number=number, former=former, back=steps or "    pass")
    file.with_suffix(".py").write_text(text, encoding="utf-8")
    _tidy(file)
    return file


def _flat(operations: Iterable[Any]) -> Iterator[MigrateOperation]:
    for each in operations:
        if isinstance(each, OpContainer):
            yield from _flat(each.ops)
        else:
            yield each


def _sql(operations: Iterable[MigrateOperation]) -> list[str]:
    """The statements, COMMENTs of tables and columns among them."""
    written = io.StringIO()
    # Values of this dialect stand as they are: another one would double the percent signs of comments.
    options = {"as_sql": True, "output_buffer": written}
    context = MigrationContext.configure(dialect=postgresql.dialect(paramstyle="named"), opts=options)
    for each in operations:
        Operations(context).invoke(each)
    return [_readable(each.strip()) for each in re.split(r";\n\n", written.getvalue()) if each.strip()]


def _readable(statement: str) -> str:
    """A COMMENT that is long goes on in a line of its own."""
    return statement.replace(" IS '", " IS\n'", 1) if len(statement) > 120 else statement


def _lower(statement: str) -> str:
    return statement if "'" in statement else statement.lower()


def _tidy(file: Path) -> None:
    """Lay both files out as the others are; what cannot be, `make lint` says."""
    tools = Path(sys.executable).parent
    for command in (("sqlfluff", "fix", "--quiet", "--disable-progress-bar"), ("ruff", "format", "--quiet")):
        target = file if command[0] == "sqlfluff" else file.with_suffix(".py")
        subprocess.run([str(tools / command[0]), *command[1:], str(target)], check=False, capture_output=True)


def main(name: str = "") -> int:
    """Compare, write, and say where."""
    with tempfile.TemporaryDirectory(prefix="mr-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        with running(Path(directory), ("postgres",)) as services:
            url = services.environment["MILLRACE_POSTGRES_URL"]
            migrate(url)
            with engine(url).connect() as connection:
                file = write(connection, name=name)
    if file is None:
        print("the migrations make what is declared: nothing to write")  # noqa: T201 - this is its answer
    else:
        print(f"read it before you commit it: {file.relative_to(Path.cwd())}")  # noqa: T201 - likewise
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
