"""What a rebuild found: how many rows there are now, and how many were not as they should have been."""

from typing import NamedTuple


class Drift(NamedTuple):
    """Rows in the rebuilt buckets, and those of them that had to be added, changed or removed; 0 is expected."""

    rows: int = 0
    drift: int = 0

    def plus(self, other: "Drift") -> "Drift":
        """Of two ranges."""
        return Drift(self.rows + other.rows, self.drift + other.drift)
