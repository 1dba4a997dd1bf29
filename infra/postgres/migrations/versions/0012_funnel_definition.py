"""Rows of the funnel know the definition that they were made by."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows that are there are of an earlier release: they are counted anew when they are touched."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Forget it."""
    op.execute("alter table analytics.funnel_daily drop column definition")
