"""Keeps the reporter of metrics going, and says in the UI what it pushed.

What belongs here: the sensor. What does not: the pushing, which is a thread's (`monitoring.metrics.reporter`): it goes
on while PostgreSQL is down, when no sensor ticks.
"""

from datetime import timedelta

import dagster as dg

from monitoring.metrics.resource import Metrics

NAME = "metrics"


def metrics_sensor(metrics: Metrics, interval: timedelta) -> dg.SensorDefinition:
    """The sensor definition; it requests no runs."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=max(1, round(interval.total_seconds())),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the thread that pushes metrics to the Pushgateway, and says what it pushed.",
    )
    def _sensor() -> dg.SkipReason:
        return dg.SkipReason(metrics.tick())

    return _sensor
