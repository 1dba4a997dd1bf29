"""The totals behind the metrics, and why runs failed."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; what the ledger has counted so far is where the totals begin."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop them. Made again, the totals begin with what the ledger says then."""
    op.execute("drop table ops.failed_runs, ops.failure_causes, ops.totals")
