"""What the views need. The views and the analysts' role are no migration: every `migrate` brings them up to date.

A migration that changes the type of a column that a view shows drops the views first (`remake.drop`); they come back.
"""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_DROP_VIEWS = """
do $$ declare name text; begin
    for name in
        select oid::regclass from pg_class
        where relnamespace = 'analytics'::regnamespace and relkind = 'v'
        and obj_description(oid, 'pg_class') like '%Made by millrace migrate%'
    loop
        execute 'drop view ' || name;
    end loop;
end $$
"""


def upgrade() -> None:
    """Make it."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop it, and the views: they stand on tables that earlier migrations drop."""
    op.execute(_DROP_VIEWS)
    op.execute("drop index analytics.events_minutely_type_minute_idx")
