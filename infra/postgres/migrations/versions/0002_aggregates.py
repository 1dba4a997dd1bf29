"""The aggregates, the helper rows that they are made of, and the marks on what they do not hold yet."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Events that were stored before there were marks: a mark an hour and ten thousand of them.
_MARK_WHAT_IS_THERE = """
insert into ops.dirty_buckets (hour, low, high, events, event_ids)
select hour, min(occurred_at), max(occurred_at), count(*), array_agg(event_id)
from (
    select
        e.event_id,
        e.occurred_at,
        date_trunc('hour', e.occurred_at, 'UTC') as hour,
        row_number() over (partition by date_trunc('hour', e.occurred_at, 'UTC') order by e.occurred_at) / 10000 as part
    from raw.events as e
) as numbered
group by hour, part
"""


def upgrade() -> None:
    """Make them, and mark the events that are there already."""
    op.execute("set local timezone to 'UTC'")
    op.execute(Path(__file__).with_suffix(".sql").read_text())
    op.execute(_MARK_WHAT_IS_THERE)


def downgrade() -> None:
    """Drop them; the events stay."""
    op.execute(
        "drop table analytics.events_hourly, analytics.pages_hourly, analytics.referrers_hourly,"
        " analytics.buttons_hourly, analytics.forms_hourly, analytics.active_users_daily, analytics.sessions,"
        " analytics.user_profiles, analytics.retention_weekly, analytics.funnel_daily, analytics.login_audit,"
        " analytics.logins_hourly, ops.dirty_buckets, ops.user_days, ops.user_day_traits, ops.user_traits,"
        " ops.active_days"
    )
