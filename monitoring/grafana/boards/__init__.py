"""The dashboards, each as the JSON that Grafana provisions.

What belongs here: which there are, and how a dashboard becomes a file. What does not: what is on them (the modules).
"""

import json
from collections.abc import Mapping

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.boards import pipeline, product, security
from monitoring.grafana.boards.frame import Addresses


def dashboards(addresses: Addresses) -> list[Dashboard]:
    """All of them."""
    return [pipeline.board(addresses), product.board(addresses), security.board(addresses)]


def documents(addresses: Addresses | None = None) -> Mapping[str, str]:
    """Every file's name and text."""
    made = dashboards(addresses or Addresses())
    return {f"{(each.uid or '').removeprefix('millrace-')}.json": encoded(each) for each in made}


def encoded(board: Dashboard) -> str:
    """A dashboard as Grafana reads it."""
    return json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
