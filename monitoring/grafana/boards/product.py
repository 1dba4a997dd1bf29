"""The dashboard *Product*: who comes, what they look at, whether they stay. From PostgreSQL, as an analyst.

What belongs here: panels over the tables for analysts. What does not: their queries (`monitoring.grafana.sql`).
"""

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue

from monitoring.grafana import colours, links, variables
from monitoring.grafana.boards.frame import Addresses, Frame, framed
from monitoring.grafana.layout import Drawn, Section, band
from monitoring.grafana.panels import lines, number, ranking, stacked
from monitoring.grafana.parts import About
from monitoring.grafana.queries import rows, series
from monitoring.grafana.tables import column, grid, shaded

_FRAME = Frame(
    uid="millrace-product",
    description="Who comes, what they look at, whether they stay. Days are UTC; late events change the past a little.",
    since="30d",
    refresh="5m",
)
_COUNTS = ("mean", "max", "lastNotNull")


def board(addresses: Addresses) -> Dashboard:
    """The dashboard."""
    users = band(8, _active(), _new_and_returning())
    sections = [
        Section("Users", [band(4, _newest_day(), _stickiness(), _new(), _behind(), widths=(9, 6, 5, 4)), users]),
        Section("Live", [band(8, _minutes(), _live(), widths=(14, 10))]),
        Section("Traffic", [band(8, _events(), widths=(24,)), band(9, _pages(), _referrers(), _buttons())]),
        Section("Sessions", [band(4, _sessions_now()), band(8, _sessions(), _lengths(), _entries())]),
        Section("Conversion and retention", [band(8, _funnel(), _conversion(), _forms()), band(9, _retention())]),
    ]
    return framed(_FRAME, addresses, sections, [variables.event_type()])


def _newest_day() -> Drawn:
    text = "Users with any event on the last full day of the time range, and in the 7 and 28 days that end with it."
    away = [links.asset("active_users_daily in Dagster", "analytics/active_users_daily")]
    return number(About("Active users of the last full day", text, units.Short, "", away), rows("product_newest_day"))


def _stickiness() -> Drawn:
    text = "Of the users of 28 days, the part that came on the last full day: 20 % is every user on every fifth day."
    return number(About("Stickiness", text, units.PercentUnit), series("product_stickiness"))


def _new() -> Drawn:
    text = "Users whose first event ever is within the time range."
    return number(About("New users", text, units.Short), rows("product_new"))


def _behind() -> Drawn:
    text = "How long the oldest event has waited that these tables do not hold yet. 15 s is what is promised."
    about = About("Tables behind by", text, units.Seconds, "MillraceAggregatesStale")
    return number(about, rows("product_settled"), limits=colours.rising(30, 300))


def _active() -> Drawn:
    text = "Users with any event on the day (dau), in the 7 days (wau) and the 28 days (mau) that end with it. "
    text += "The newest day still runs."
    return lines(About("Active users", text, units.Short), series("product_active"), calcs=_COUNTS)


def _new_and_returning() -> Drawn:
    text = "Users of each day: new ones, whose first event ever it was, and those who had been here before."
    query = series("product_new_and_returning")
    return stacked(About("New and returning users", text, units.Short), query, bars=True, named=("new", "returning"))


def _minutes() -> Drawn:
    text = "Events of the last hour, by the minute in which they occurred. Kept in the transaction that stores them."
    about = About("Events a minute, last hour", text, units.Short)
    return stacked(about, series("product_minutes"), bars=True).time_from("1h")


def _live() -> Drawn:
    text = "How many events of each type occurred lately, and how long ago the last one was. Whatever the time range."
    panel = grid(About("Right now", text, units.Short), rows("product_live"))
    return column(column(panel, "last seen", units.Seconds), "a second", units.EventsPerSecond)


def _events() -> Drawn:
    text = "Events by the time at which they occurred, by type."
    return stacked(About("Events", text, units.Short), series("product_events"), bars=True).interval("1h")


def _pages() -> Drawn:
    text = "The 10 pages with most views. Distinct users of hours do not add up; so views."
    return ranking(About("Top pages", text, units.Short), rows("product_pages"), by_row=True)


def _referrers() -> Drawn:
    text = "Where page views came from, the 10 most frequent. (direct): no referrer was sent."
    return ranking(About("Top referrers", text, units.Short), rows("product_referrers"), by_row=True)


def _buttons() -> Drawn:
    return grid(
        About("Top buttons", "The 10 buttons with most clicks, and where.", units.Short), rows("product_buttons")
    )


def _sessions_now() -> Drawn:
    text = "Sessions that began in the time range. A session ends after 30 minutes without an event; a bounce is one "
    text += "page view and nothing else, among those with a page view; the length is from the first event to the last."
    panel = number(About("Sessions", text, units.Short), rows("product_sessions_now"))
    panel = panel.override_by_name("bounce rate", [DynamicConfigValue("unit", units.PercentUnit)])
    return panel.override_by_name("median length", [DynamicConfigValue("unit", units.Seconds)])


def _sessions() -> Drawn:
    text = "Sessions by the day on which they began: those with a page view and more, and bounces: "
    text += "one page view and nothing else."
    return stacked(About("Sessions a day", text, units.Short), series("product_sessions"), bars=True)


def _lengths() -> Drawn:
    text = "How long the sessions of a day were: half of them longer than the median, a tenth longer than p90."
    return lines(About("Session length", text, units.Seconds), series("product_session_lengths"), calcs=_COUNTS)


def _entries() -> Drawn:
    panel = grid(
        About("Entry pages", "Where sessions begin, and how many end there.", units.Short), rows("product_entries")
    )
    return column(panel, "bounce rate", units.PercentUnit)


def _funnel() -> Drawn:
    text = "Users who took each step after all before it, within a day; days added up. A user of two days counts twice."
    return ranking(About("Funnel", text, units.Short), rows("product_funnel"), by_row=True)


def _conversion() -> Drawn:
    text = "Of the users who took the first step on a day, the part that took each later one."
    return lines(About("Conversion by day", text, units.PercentUnit), series("product_conversion"), calcs=_COUNTS)


def _forms() -> Drawn:
    return stacked(About("Forms", "Submits a day, by form.", units.Short), series("product_forms"), bars=True)


def _retention() -> Drawn:
    text = "Of the users whose first event was in a week, the part that came in the 1st to 8th week after it. "
    text += "Always of the last 10 weeks. Empty: nobody came, or the week is still ahead."
    panel = grid(About("Retention by week", text, units.Short), rows("product_retention"))
    return column(shaded(panel, "/^[+]/", units.PercentUnit), "first week", "time:YYYY-MM-DD").time_from("70d")
