"""Groups of tables take marks in independently of each other."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is taken by one group and not by the others yet: marks stay as they are."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Only when every group has taken in the same."""
    op.execute("drop table ops.taken_marks cascade")  # and the view freshness, which `migrate` makes anew
