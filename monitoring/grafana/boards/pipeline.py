"""The dashboard *Pipeline*: whether events flow, and if not, where they stop. For on-call, from Prometheus alone.

What belongs here: the order of its sections. What does not: their panels (`flow`, `latency`, `faults`, `state`).
"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana import variables
from monitoring.grafana.boards import faults, flow, latency, overview, state
from monitoring.grafana.boards.frame import Addresses, Frame, framed

_FRAME = Frame(
    uid="millrace-pipeline",
    description="Do events flow? The first two rows say it; what is below them says where they stop.",
    since="1h",
    refresh="10s",
)


def board(addresses: Addresses) -> Dashboard:
    """The dashboard."""
    sections = [
        *(overview.section(), flow.throughput(), flow.lag(), latency.section()),
        *(faults.runs(), faults.data(), state.aggregates(), state.storage()),
    ]
    return framed(_FRAME, addresses, sections, [variables.topic(), variables.window()])
