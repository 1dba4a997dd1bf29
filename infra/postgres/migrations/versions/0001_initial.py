"""The first schema: raw.events and its dead letters, the books in ops, the first aggregate."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Days before this one share `events_old`; days from it on get partitions of their own, made by the ingest runs.
_OLD = """
do $$ begin
    execute format(
        'create table raw.events_old partition of raw.events for values from (minvalue) to (%L)',
        date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '7 days'
    );
end $$
"""


def upgrade() -> None:
    """Make everything."""
    op.execute("set local timezone to 'UTC'")
    op.execute(Path(__file__).with_suffix(".sql").read_text())
    op.execute(_OLD)


def downgrade() -> None:
    """Drop everything, data included."""
    op.execute("drop schema analytics cascade")
    op.execute("drop schema raw cascade")
    op.execute("drop table ops.batch_ranges, ops.batches, ops.gaps, ops.offsets")
