"""Refreshes of the login audit know which users were seen at which addresses."""

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Read analytics.login_audit once, while its writer waits. Triggers keep the table, whichever release writes."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Forget the addresses."""
    op.execute("drop trigger login_addresses_come on analytics.login_audit")
    op.execute("drop trigger login_addresses_go on analytics.login_audit")
    op.execute("drop function ops.add_login_addresses(), ops.remove_login_addresses()")
    op.execute("drop table ops.login_addresses")
