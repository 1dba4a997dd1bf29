"""Aggregates keep what they need to take in new events without reading old ones again."""

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for the state. Nothing is computed: a session and an hour without state are read once, when needed."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Forget the state."""
    op.execute("drop table ops.hour_members")
    op.execute("alter table ops.dirty_buckets drop column windows")
    op.execute(
        "alter table analytics.sessions drop column entry_at, drop column entry_position, drop column exit_at,"
        " drop column exit_position, drop column merged_events"
    )
