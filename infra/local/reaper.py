"""Ends the services of a data directory when the process that started them is gone, however it went.

`python -m infra.local.reaper DATA_DIRECTORY` waits until its standard input closes. A test run
that is killed, by a time-out in CI say, closes it too, and leaves no Kafka behind.
"""

import sys
from pathlib import Path

from infra.local import processes

if __name__ == "__main__":
    sys.stdin.read()
    processes.sweep(Path(sys.argv[1]), grace=5)
