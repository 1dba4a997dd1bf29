"""Bytes become an event, or a rejection that says why not. The entry point for everything that reads Kafka.

What belongs here: the decoder. What does not: the rules (`strict`), the short cut (`fast`), tombstones (a record
without a value never comes here).
"""

from datetime import UTC, datetime, timedelta

from contract import strict
from contract.codes import RejectionCode
from contract.contract import Contract
from contract.fast import fast_path
from contract.model import DecodeLimits, Event, Rejection

__all__ = ["Decoder", "Event", "Rejection", "RejectionCode"]

MAX_VALUE_BYTES = 1024 * 1024
MAX_FUTURE = timedelta(minutes=5)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Decoder:
    """Decodes Kafka values by a contract, within limits. Pure: the clock is handed in. Safe to share by threads."""

    def __init__(
        self,
        contract: Contract,
        max_value_bytes: int = MAX_VALUE_BYTES,
        max_future: timedelta = MAX_FUTURE,
        min_timestamp: datetime | None = None,
    ) -> None:
        self.contract = contract
        oldest = None if min_timestamp is None else (min_timestamp - _EPOCH) // _MICROSECOND
        self.limits = DecodeLimits(max_value_bytes, max_future // _MICROSECOND, oldest)
        self._fast = fast_path(contract, self.limits)

    def decode(self, value: bytes, now_us: int) -> Event | Rejection:
        """Decide about a value. Never raises, whatever the bytes.

        Args:
            value: a Kafka record's value.
            now_us: the time now, in microseconds since the Unix epoch.
        """
        return self._fast(value, now_us) or strict.decode(value, now_us, self.contract, self.limits)
