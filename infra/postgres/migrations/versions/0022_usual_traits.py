"""What a user usually comes with follows from what it was and what changed, without an index by how often."""

from pathlib import Path

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The release before finds it without the index, too: by the user."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Build it again."""
    op.execute("create index user_traits_usual_idx on ops.user_traits (user_id, kind, events)")
