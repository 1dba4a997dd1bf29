"""What panels ask: targets of Prometheus and PostgreSQL.

What belongs here: the shapes that Grafana 11 and 12 give a query. What does not: the queries (`boards`, `sql`).
"""

from grafana_foundation_sdk.builders import prometheus as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from monitoring.grafana.sql import statement

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
POSTGRES = DataSourceRef(type_val="grafana-postgresql-datasource", uid="postgres")
# Of Grafana itself: for panels that ask nothing by a target (the alert list).
NO_SOURCE = DataSourceRef(type_val="datasource", uid="grafana")

Query = Builder[Dataquery]


class Sql(Dataquery):
    """A query of PostgreSQL, for which the SDK has no type: what Grafana's code editor stores."""

    def __init__(self, raw: str, form: str) -> None:
        self.raw, self.form, self.ref_id = raw, form, "A"

    def to_json(self) -> dict[str, object]:
        """As Grafana has it; `rawQuery` and `editorMode` keep the visual editor from touching it."""
        return {
            "datasource": POSTGRES,
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.raw,
            "refId": self.ref_id,
        }


class _SqlBuilder(Builder[Dataquery]):
    def __init__(self, query: Sql) -> None:
        self._query = query

    def build(self) -> Dataquery:
        return self._query


def over_time(expr: str, legend: str = "", ref: str = "A") -> Query:
    """A range query of Prometheus: a line for each series."""
    return _prometheus(expr, legend, ref).range()


def now(expr: str, legend: str = "", ref: str = "A") -> Query:
    """An instant query of Prometheus: the value at the end of the time range."""
    return _prometheus(expr, legend, ref).instant()


def buckets(expr: str) -> Query:
    """A range query whose series are the buckets of a histogram."""
    return _prometheus(expr, "{{le}}", "A").range().format(PromQueryFormat.HEATMAP)


def listed(expr: str) -> Query:
    """An instant query of Prometheus whose labels become columns."""
    return _prometheus(expr, "", "A").instant().format(PromQueryFormat.TABLE)


def rows(name: str) -> Query:
    """`sql/<name>.sql` as a table."""
    return _SqlBuilder(Sql(statement(name), "table"))


def series(name: str) -> Query:
    """`sql/<name>.sql` as lines: a column "time" that it is ordered by, perhaps one that names the line, numbers."""
    return _SqlBuilder(Sql(statement(name), "time_series"))


def _prometheus(expr: str, legend: str, ref: str) -> builders.Dataquery:
    made = builders.Dataquery().expr(expr).ref_id(ref).editor_mode(QueryEditorMode.CODE).datasource(PROMETHEUS)
    return made.legend_format(legend or "__auto").format(PromQueryFormat.TIME_SERIES)
