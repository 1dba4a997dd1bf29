"""The Dagster resource `metrics`: what runs and the sensor call. Neither can be failed or held up by it.

What belongs here: being off without a Pushgateway, and swallowing failures. What does not: the work (`publisher`,
`reporter`).
"""

from dataclasses import dataclass
from logging import Logger

from monitoring.metrics.collect.counters import KnownLabels
from monitoring.metrics.database import MetricsDatabase
from monitoring.metrics.publisher import MetricsPublisher
from monitoring.metrics.push import Pusher
from monitoring.metrics.reporter import MetricsReporter
from monitoring.metrics.totals import NO_LANE
from resources.postgres import Postgres, describe

OFF = "metrics are off: MILLRACE_PUSHGATEWAY_URL names the Pushgateway that turns them on"
# Behind a run that is done anyway nobody should wait.
_RUN_SECONDS = 3.0


@dataclass
class Metrics:
    """The metrics of one process. `pusher` and `reporter` are None where there is no Pushgateway."""

    postgres: Postgres
    known: KnownLabels
    lanes: int
    pusher: Pusher | None = None
    reporter: MetricsReporter | None = None
    _database: MetricsDatabase | None = None

    def after_run(self, lane: int | None, log: Logger) -> None:
        """Push the totals and the lane's group: about a second at most, and never an exception.

        Args:
            lane: None for a run that has none.
            log: hears of an outage, once.
        """
        if self.pusher is None or self.pusher.resting:
            return
        self._database = self._database or MetricsDatabase(self.postgres)
        publisher = MetricsPublisher(self._database, self.pusher, self.known, self.lanes, log, _RUN_SECONDS)
        try:
            publisher.publish(NO_LANE if lane is None else lane)
        except Exception as error:  # noqa: BLE001 - a run that is done must not fail for its figures
            log.debug("metrics were not pushed: %s", describe(error))

    def tick(self) -> str:
        """Start the reporter if need be; what it did, for people."""
        if self.reporter is None:
            return OFF
        self.reporter.start()
        return self.reporter.explain()

    def close(self) -> None:
        """End the reporter and close the connections."""
        if self.reporter is not None:
            self.reporter.stop()
            self.reporter.publisher.database.close()
        if self._database is not None:
            self._database.close()
