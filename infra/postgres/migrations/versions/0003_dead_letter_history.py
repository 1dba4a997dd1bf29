"""What became of a dead letter at every attempt, and who decided it."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop it. What redrives booked stays, as replays, and with it the wider primary key of the ranges."""
    op.execute("drop table ops.audit_log, ops.dead_letter_attempts")
    op.execute("update ops.batches set kind = 'replay' where kind = 'redrive'")
    op.execute("alter table ops.batches drop constraint batches_kind_check")
    op.execute("alter table ops.batches add constraint batches_kind_check check (kind in ('ingest', 'replay'))")
