"""Partitions that cannot be read."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop the table; gaps that were given up stay."""
    op.execute("drop table ops.unreadable_partitions")
    op.execute("comment on column ops.gaps.run_id is 'The Dagster run that found it'")
