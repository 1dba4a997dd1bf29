"""Late events that cannot change how far a user came are told from those that can."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is computed: what is not known of a user's day is noted when something comes."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Forget it."""
    op.execute("alter table ops.user_days drop column funnel_at, drop column funnel_key")
