"""Claims in Redis are proved by a key that only this database holds."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the key; claims that are there have digests without it, which prove nothing: PostgreSQL decides."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Forget it."""
    op.execute("drop table ops.claim_key")
