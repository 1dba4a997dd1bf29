"""What a person can choose at the top of a dashboard, and what every link begins with.

What belongs here: variables and annotations. What does not: queries that use them (`boards`, `sql`).
"""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from monitoring.grafana.queries import POSTGRES, PROMETHEUS

Variable = Builder[models.VariableModel]

ALL = models.VariableOption(selected=True, text="All", value="$__all")
WINDOWS = ("1m", "5m", "15m", "1h")


def topic() -> Variable:
    """Kafka topics, as many as one likes."""
    asked: dict[str, object] = {"qryType": 1, "query": "label_values(millrace_consumer_lag_events, topic)"}
    variable = builders.QueryVariable("topic").label("Topic").datasource(PROMETHEUS).query({**asked, "refId": "A"})
    variable = variable.description("Which topics the lag is of. All other figures are of all topics together.")
    return _all(variable.refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)).all_value(".*")


def event_type() -> Variable:
    """Types of events, as many as one likes."""
    variable = builders.QueryVariable("type").label("Event type").datasource(POSTGRES)
    variable = variable.query("select type from analytics.live order by type")
    variable = variable.description("Which types of events the panels of events count.")
    return _all(variable.refresh(models.VariableRefresh.ON_DASHBOARD_LOAD))


def window() -> Variable:
    """Over how long the rates of the first row are taken."""
    options = [models.VariableOption(selected=each == WINDOWS[0], text=each, value=each) for each in WINDOWS]
    variable = builders.CustomVariable("window").label("Now means the last").values(",".join(WINDOWS))
    return variable.options(options).current(options[0]).description("Over how long the rates of the first row are.")


def text(name: str, label: str, description: str) -> Variable:
    """A text that is typed in; empty: everything."""
    empty = models.VariableOption(selected=True, text="", value="")
    variable = builders.TextBoxVariable(name).label(label).description(description).default_value("")
    return variable.current(empty).options([empty])


def addresses(dagster: str, book: str) -> list[Variable]:
    """What links begin with. Not shown; `?var-dagster=` in a dashboard's address sets one all the same."""
    return [
        _address("dagster", "Dagster", dagster, "Where Dagster's web server is; links of panels begin with it."),
        _address("runbook", "Runbook", book, "Where docs/runbook.md can be read; links of panels begin with it."),
    ]


def _all(variable: builders.QueryVariable) -> builders.QueryVariable:
    chosen = variable.multi(True).include_all(True).current(ALL)
    return chosen.sort(models.VariableSort.ALPHABETICAL_ASC)


def _address(name: str, label: str, url: str, description: str) -> Variable:
    at = models.VariableOption(selected=True, text=url, value=url)
    variable = builders.TextBoxVariable(name).label(label).description(description).default_value(url)
    return variable.current(at).options([at]).hide(models.VariableHide.HIDE_VARIABLE)


class _Fired(models.AnnotationQuery):
    """What Prometheus' annotations have beyond the SDK's fields: texts made of labels."""

    def to_json(self) -> dict[str, object]:
        texts = {"titleFormat": "{{alertname}}", "textFormat": "{{severity}}", "tagKeys": "severity", "step": "30s"}
        return {**super().to_json(), **texts, "useValueForTime": False}


class _FiredBuilder(Builder[models.AnnotationQuery]):
    def __init__(self, made: models.AnnotationQuery) -> None:
        self._made = made

    def build(self) -> models.AnnotationQuery:
        return self._made


def fired(severity: str, colour: str) -> Builder[models.AnnotationQuery]:
    """When alerts of a severity fired, over every panel with a time axis."""
    expr = f'ALERTS{{alertstate="firing",alertname=~"Millrace.*",severity="{severity}"}}'
    return _FiredBuilder(_Fired(f"Alerts: {severity}", PROMETHEUS, icon_color=colour, expr=expr, built_in=0))
