"""What watches Millrace: finding `monitoring/`, and its configuration rendered for where the programs run.

What belongs here: reading those files and filling in addresses and receivers. What does not: the rules and routes
themselves (`monitoring/` at the top of the checkout) and running the programs (`infra.local.monitoring`).
"""

import sys
from pathlib import Path

_BESIDE_THE_PACKAGE = Path(__file__).parents[3] / "monitoring"
_IN_THE_IMAGE = Path(sys.prefix) / "share" / "millrace" / "monitoring"


def folder() -> Path | None:
    """Where the rules and routes are; None where they are not, as beside an installed wheel."""
    needed = ("prometheus/prometheus.yml", "alertmanager/alertmanager.yml")
    places = (_BESIDE_THE_PACKAGE, _IN_THE_IMAGE)
    return next((place for place in places if all((place / name).exists() for name in needed)), None)
