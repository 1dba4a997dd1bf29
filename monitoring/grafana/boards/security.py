"""The dashboard *Security*: who logs in from where, and what is unusual about it.

What belongs here: panels over the login audit. What does not: what is unusual (`assets.aggregates`), and the
queries (`monitoring.grafana.sql`).
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana import colours, links, variables
from monitoring.grafana.boards.frame import Addresses, Frame, framed
from monitoring.grafana.layout import Drawn, Section, band
from monitoring.grafana.panels import lines, number, ranking, stacked
from monitoring.grafana.parts import About
from monitoring.grafana.queries import Query, over_time, rows, series
from monitoring.grafana.tables import column, grid

_FRAME = Frame(
    uid="millrace-security",
    description="Who logs in from where, and what is unusual about it. Flags are explained in docs/analysts.md.",
    since="7d",
    refresh="1m",
)
_AUDIT = links.asset("login_audit in Dagster", "analytics/login_audit")
_USER = links.narrowed("Only this user", "user", "user")
_ADDRESS = links.narrowed("Only this address", "address", "address")


def board(addresses: Addresses) -> Dashboard:
    """The dashboard."""
    chosen = [
        variables.text("user", "User", "Only logins of this user; empty: of all."),
        variables.text("address", "Address", "Only logins from this address; empty: from all."),
    ]
    first = band(4, _now(), _burst(), _many_users(), widths=(12, 6, 6))
    sections = [
        Section("Is somebody trying?", [first, band(8, _recent(), _late(), _flags_total())]),
        Section("Logins", [band(8, _logins(), _share(), _addresses_hourly())]),
        Section("Flags", [band(8, _flags(), widths=(24,)), band(10, _latest(), widths=(24,))]),
        Section("Addresses and users", [band(10, _addresses(), _users()), band(8, _bursts(), _history())]),
    ]
    return framed(_FRAME, addresses, sections, chosen)


def _now() -> Drawn:
    text = "Logins and logouts in the time range, and how many of them have at least one flag."
    return number(About("In this time", text, units.Short, "", [_AUDIT]), rows("security_now"))


def _burst() -> Drawn:
    text = "Logins within bursts, of the last hour: many logins of one user in a short time. Somebody tries passwords."
    about = About("Bursts, last hour", text, units.Short, "MillraceBruteForce")
    return number(about, _flagged("burst"), limits=colours.rising(1, 10))


def _many_users() -> Drawn:
    text = (
        "Logins from addresses that many users log in from, of the last hour. A proxy, or stolen passwords tried out."
    )
    about = About("Many users from one address, last hour", text, units.Short, "MillraceManyUsersFromAddress")
    return number(about, _flagged("many_users_from_address"), limits=colours.rising(1, 20))


def _flagged(kind: str) -> Query:
    counter = f'millrace_login_anomalies_total{{kind="{kind}",age="recent"}}'
    return over_time(f"sum({counter} - min_over_time({counter}[1h]))", kind)


def _recent() -> Drawn:
    return _flags_as_found("recent", "Flags as they are found", "Logins of the last hour that were flagged, by flag.")


def _late() -> Drawn:
    text = (
        "Logins older than an hour that were flagged: late events, or a rebuild of the past. Nobody is woken for them."
    )
    return _flags_as_found("late", "Flags of older logins", text)


def _flags_as_found(age: str, title: str, text: str) -> Drawn:
    query = f'sum by (kind) (increase(millrace_login_anomalies_total{{age="{age}"}}[$__interval]))'
    about = About(title, text, units.Short, "MillraceBruteForce")
    return stacked(about, over_time(query, "{{kind}}"), bars=True).interval("1m")


def _flags_total() -> Drawn:
    text = "Logins and logouts of the time range by flag. One may have several."
    return ranking(About("By flag", text, units.Short), rows("security_flags_total"), by_row=True)


def _logins() -> Drawn:
    about = About("Logins and logouts", "By the hour, or longer in a long time range.", units.Short, "", [_AUDIT])
    return lines(about, series("security_logins"), named=("logins",)).interval("1h")


def _share() -> Drawn:
    text = "Of the logins and logouts, the part with at least one flag. New devices and addresses make up most of it."
    panel = lines(About("Flagged share", text, units.PercentUnit), series("security_flagged_share"), named=("flagged",))
    return panel.interval("1h")


def _addresses_hourly() -> Drawn:
    text = "Distinct users and distinct addresses of each hour. Far more users than addresses: a proxy, or an attack."
    return lines(About("Users and addresses", text, units.Short), series("security_addresses_hourly"))


def _flags() -> Drawn:
    text = "Flagged logins and logouts by the time at which they happened, by flag."
    return stacked(About("Flags over time", text, units.Short), series("security_flags"), bars=True).interval("1h")


def _latest() -> Drawn:
    text = "The newest flagged logins and logouts, of the user and the address chosen above, if any."
    return _people("Latest flagged", text, "security_latest")


def _history() -> Drawn:
    text = "Every login and logout of the user or the address chosen above, flagged or not. Empty until one is chosen."
    return _people("Of the chosen user or address", text, "security_history")


def _addresses() -> Drawn:
    text = "The 20 addresses from which most users logged in."
    panel = _people("Addresses by users", text, "security_addresses")
    return _dated(panel, ("first seen", "last seen"))


def _users() -> Drawn:
    panel = _people("Users by addresses", "The 20 users who logged in from most addresses.", "security_users")
    return _dated(panel, ("last seen",))


def _bursts() -> Drawn:
    text = "Logins within bursts, by user, address and hour: whom somebody tries to log in as, and from where."
    panel = _people("Bursts", text, "security_bursts", "MillraceBruteForce")
    return _dated(panel, ("from", "until"))


def _people(title: str, text: str, query: str, alert: str = "") -> table.Panel:
    panel = grid(About(title, text, units.Short, alert), rows(query))
    return column(column(panel, "user", units.String, _USER), "address", units.String, _ADDRESS)


def _dated(panel: table.Panel, columns: Sequence[str]) -> table.Panel:
    for each in columns:
        panel = column(panel, each, units.DatetimeISO)
    return panel
