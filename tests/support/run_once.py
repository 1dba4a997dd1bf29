"""One ingest run in a process of its own, so that a test can kill or freeze it. Settings by the environment."""

import json
import logging
import sys

from assets.ingest import ledger_queries
from assets.ingest.ledger import Author
from assets.ingest.plan import OffsetRange
from assets.ingest.run import ingest
from orchestration.factories import make_worker
from orchestration.settings import load


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    ranges = tuple(
        OffsetRange(topic, ledger_queries.parse_topic_partition(topic_id, partition), start, end)
        for topic, topic_id, partition, start, end in json.loads(sys.argv[2])
    )
    ended = ingest(make_worker(load()), ranges, Author(sys.argv[1], 0, "ingest"), logging.getLogger("run"))
    sys.stdout.write(ended.why)


if __name__ == "__main__":
    main()
