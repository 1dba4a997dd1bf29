"""Erased and expired records: their books, and the frontier of retention."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop it. What was erased or expired was there once: the ledger says so again, and reconciles no more."""
    op.execute("update ops.batches set kind = 'replay' where kind in ('erase', 'retention')")
    for table in ("batches", "batch_ranges"):
        op.execute(f"update ops.{table} set stored = stored + erased + expired, erased = 0, expired = 0")  # nosec B608  # noqa: S608
    for table, duplicates in (("batches", "duplicates_redis + duplicates_postgres"), ("batch_ranges", "duplicates")):
        sums = f"records = stored + {duplicates} + dead_letters + tombstones"
        op.execute(f"alter table ops.{table} drop constraint {table}_accounted_check")
        op.execute(f"alter table ops.{table} drop column erased, drop column expired")
        op.execute(f"alter table ops.{table} add constraint {table}_accounted_check check ({sums})")
    op.execute("alter table ops.batches drop constraint batches_kind_check")
    kinds = "('ingest', 'replay', 'redrive')"
    op.execute(f"alter table ops.batches add constraint batches_kind_check check (kind in {kinds})")
    op.execute("drop table ops.retention_frontier, ops.erasures, ops.erasure_key")
