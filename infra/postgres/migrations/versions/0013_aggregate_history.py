"""For which days each aggregate is whole."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; what the release before has kept is whole, what this upgrade has made is not."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop it: the release before takes every table for whole."""
    op.execute("drop view if exists analytics.freshness")  # that release's migrate makes its own
    op.execute("drop table ops.aggregate_history")
