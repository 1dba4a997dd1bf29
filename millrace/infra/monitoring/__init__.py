"""What watches Millrace: finding `monitoring/`, and its configuration rendered for where the programs run.

What belongs here: reading those files and filling in addresses and receivers. What does not: the rules and routes
themselves (`monitoring/` at the top of the checkout) and running the programs (`infra.local.monitoring`).
"""

from pathlib import Path

_BESIDE_THE_PACKAGE = Path(__file__).parents[3] / "monitoring"


def folder() -> Path | None:
    """Where the rules, routes and dashboards are; None where they are not, as beside an installed wheel."""
    needed = ("prometheus/prometheus.yml", "alertmanager/alertmanager.yml")
    return _BESIDE_THE_PACKAGE if all((_BESIDE_THE_PACKAGE / name).exists() for name in needed) else None
