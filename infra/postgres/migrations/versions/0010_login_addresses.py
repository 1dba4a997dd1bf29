"""Logins are compared by address and ordered by place in Kafka."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and the indexes that begin with them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Take them away; the indexes are those of before."""
    op.execute(
        """
        alter table analytics.login_audit drop column address, drop column position;
        drop index analytics.login_audit_ip_idx;
        create index login_audit_ip_idx on analytics.login_audit (ip, action, occurred_at, event_id);
        create index login_audit_user_id_device_idx on analytics.login_audit (user_id, device, occurred_at, event_id)
        where device is not null;
        create index login_audit_user_id_idx on analytics.login_audit (user_id, action, occurred_at, event_id);
        create index login_audit_user_id_ip_idx on analytics.login_audit (user_id, ip, action, occurred_at, event_id);
        drop function ops.canonical_address(text);
        drop function ops.kafka_position(uuid, integer, bigint);
        """
    )
