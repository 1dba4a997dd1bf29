"""Writes the dashboards. A test fails when the checked-in ones are not what this writes.

python -m monitoring.grafana [--directory DIR] [--dagster URL] [--runbook URL]
"""

import argparse
from pathlib import Path

from monitoring.grafana.boards import documents
from monitoring.grafana.boards.frame import Addresses

DASHBOARDS = Path(__file__).parent / "dashboards"


def main(directory: Path, addresses: Addresses) -> None:
    """Write them all, and remove those that are gone."""
    directory.mkdir(parents=True, exist_ok=True)
    written = documents(addresses)
    for name, text in written.items():
        (directory / name).write_text(text, encoding="utf-8")
    for stale in directory.glob("*.json"):
        if stale.name not in written:
            stale.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write Grafana's dashboards as JSON.")
    parser.add_argument("--directory", type=Path, default=DASHBOARDS, help="where to; default: the checked-in ones")
    parser.add_argument(
        "--dagster", default=Addresses().dagster, help="where links to Dagster lead; default: %(default)s"
    )
    parser.add_argument("--runbook", default=Addresses().runbook, help="where docs/runbook.md can be read")
    given = parser.parse_args()
    main(given.directory, Addresses(given.dagster, given.runbook))
