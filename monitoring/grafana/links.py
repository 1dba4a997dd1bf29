"""Where a panel leads: the runbook, Dagster, the other dashboards, the same dashboard with another variable.

What belongs here: addresses. Their first parts are variables of the dashboards (`variables`), so that a person can
change them in one place. What does not: which panel leads where (`boards`).
"""

from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

TAG = "millrace"
BOARDS = {"millrace-pipeline": "Pipeline", "millrace-product": "Product", "millrace-security": "Security"}


class DataLink(models.DashboardLink):
    """A link of a value: of a dashboard's link it has only these fields."""

    def to_json(self) -> dict[str, object]:
        """As Grafana has it."""
        return {"title": self.title, "url": self.url, "targetBlank": self.target_blank}


class Link(builders.DashboardLink):
    """Builds a `DataLink`."""

    def __init__(self, title: str, url: str, away: bool = True) -> None:
        super().__init__(title)
        self._made = DataLink(title=title, url=url, target_blank=away)

    def build(self) -> models.DashboardLink:
        """The link."""
        return self._made


def runbook(alert: str) -> builders.DashboardLink:
    """The section of an alert."""
    link = builders.DashboardLink(f"Runbook: {alert}").type(models.DashboardLinkType.LINK)
    return (
        link.url(f"${{runbook:raw}}#{alert.lower()}")
        .icon("doc")
        .tooltip("What it means, what to do")
        .target_blank(True)
    )


def runs(title: str, *filters: str) -> Link:
    """Dagster's runs, filtered by `job:x`, `status:X`, `tag:a=b`."""
    return Link(title, "${dagster:raw}/runs?" + "&".join(f"q%5B%5D={quote(each, safe='${}:._')}" for each in filters))


def asset(title: str, path: str) -> Link:
    """An asset in Dagster: its last runs, its metadata, its checks."""
    return Link(title, f"${{dagster:raw}}/assets/{path}")


def narrowed(title: str, variable: str, field: str) -> Link:
    """The same dashboard with a variable set to the value of a column."""
    url = f"/d/millrace-security?var-{variable}=${{__data.fields.{field}:percentencode}}&${{__url_time_range}}"
    return Link(title, url, away=False)


def others(uid: str) -> list[builders.DashboardLink]:
    """The other dashboards and Dagster, at the top of a dashboard."""
    boards = [
        builders.DashboardLink(title).type(models.DashboardLinkType.LINK).url(f"/d/{each}").icon("dashboard")
        for each, title in BOARDS.items()
        if each != uid
    ]
    away = [("Dagster", "${dagster:raw}", "external link"), ("Runbook", "${runbook:raw}", "doc")]
    return [
        *(link.keep_time(True) for link in boards),
        *(
            builders.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).icon(icon).target_blank(True)
            for title, url, icon in away
        ),
    ]
