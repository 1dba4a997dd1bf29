"""The last record of each partition and batch, so that a log that lost its end and grew again is noticed."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty: a partition is looked at once something of it was committed."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop them. Logs that took the place of others keep their ids, which only this release understands."""
    op.execute("alter table ops.offsets drop column last_offset, drop column last_digest")
    op.execute("alter table ops.batch_ranges drop column last_offset, drop column last_digest")
