"""One ingest run in a process of its own, so that a test can kill or freeze it. Settings by the environment."""

import json
import logging
import sys

from millrace.assets.ingest import books
from millrace.assets.ingest.ledger import Author
from millrace.assets.ingest.plan import Range
from millrace.assets.ingest.run import ingest
from millrace.orchestration.clients import make_worker
from millrace.orchestration.settings import load


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    ranges = tuple(
        Range(topic, books.place(topic_id, partition), start, end)
        for topic, topic_id, partition, start, end in json.loads(sys.argv[2])
    )
    ended = ingest(make_worker(load()), ranges, Author(sys.argv[1], 0, "ingest"), logging.getLogger("run"))
    sys.stdout.write(ended.why)


if __name__ == "__main__":
    main()
