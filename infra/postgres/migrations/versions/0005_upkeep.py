"""Closed books, and ids that were used twice."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make what the upkeep needs."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop it. What was closed stays closed: its batches cannot be told apart any more."""
    op.execute("drop table ops.reused_ids")
    op.execute("drop index raw.dead_letters_settled_idx, ops.batches_closed_idx")
    op.execute("alter table ops.batches drop constraint batches_kind_check, drop column transactions")
    op.execute("update ops.batches set kind = 'ingest' where kind = 'closed'")
    op.execute(
        "alter table ops.batches add constraint batches_kind_check"
        " check (kind in ('ingest', 'replay', 'redrive', 'erase', 'retention'))"
    )
