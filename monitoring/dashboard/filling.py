"""What Grafana does to a query before it sends it: variables and macros. Pure text.

What belongs here: filling in. What does not: sending (`sources`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
# As Grafana's plugin for PostgreSQL finds a macro: no bracket within its arguments.
_MACRO = re.compile(r"\$(\w+)\(([^)]*)\)")
ALL = "$__all"


def seconds(text: str) -> int:
    """`90m` in seconds.

    Raises:
        ValueError: it is no such text.
    """
    if not re.fullmatch(r"[1-9]\d{0,5}[smhd]", text, re.ASCII):
        raise ValueError(f"no time span: {text[:20]!r}; for example 90m")
    return int(text[:-1]) * _UNITS[text[-1]]


@dataclass(frozen=True)
class Filler:
    """What a dashboard's queries are filled with.

    Attributes:
        variables: the values that are chosen, by variable.
        least: seconds between two points at least.
        scrape: seconds between two scrapes.
        points: how many points a panel is wide.
    """

    since: timedelta
    until: datetime
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    least: int = 5
    scrape: int = 20
    points: int = 1000

    @property
    def interval(self) -> int:
        """Seconds between two points of a panel."""
        return max(self.least, round(self.since.total_seconds() / self.points))

    def prometheus(self, expr: str) -> str:
        """A query of Prometheus; several values of a variable become a regular expression."""
        rate = max(self.interval + self.scrape, 4 * self.scrape)
        own = {"__rate_interval": f"{rate}s", "__interval": f"{self.interval}s"}
        own["__range"] = f"{round(self.since.total_seconds())}s"
        return self._replaced(expr, {**own, **{k: "|".join(v) for k, v in self.variables.items()}})

    def postgres(self, text: str) -> str:
        """A query of PostgreSQL: first variables, then macros, as Grafana does it."""
        own = {"__interval": f"{self.interval}s"}
        chosen = {name: values or ("",) for name, values in self.variables.items()}
        listed = {k: ",".join("'" + each.replace("'", "''") + "'" for each in v) for k, v in chosen.items()}
        return _MACRO.sub(self._macro, self._replaced(text, {**own, **listed}))

    def _replaced(self, text: str, values: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1] or found[3]
            return found[0] if name not in values else values[name]

        return _VARIABLE.sub(value, text)

    def _macro(self, found: re.Match[str]) -> str:
        first, *others = [part.strip() for part in found[2].split(",")]
        low, high = (f"'{at.astimezone(UTC).isoformat()}'" for at in (self.until - self.since, self.until))
        plain = {"__timeFilter": f"{first} BETWEEN {low} AND {high}", "__timeFrom": low, "__timeTo": high}
        if found[1] in plain:
            return plain[found[1]]
        if found[1] not in ("__timeGroup", "__timeGroupAlias"):  # no macro: what somebody has typed in
            return found[0]
        width = seconds(others[0].strip("'"))
        group = f"floor(extract(epoch from {first})/{width})*{width}"
        return group if found[1] == "__timeGroup" else f'{group} AS "time"'
