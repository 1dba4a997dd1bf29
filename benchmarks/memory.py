"""Peak memory of the ingest worker with a small and a large backlog: it must not depend on the backlog."""

import threading

import psutil

from benchmarks.rig import Rig


def measure(rig: Rig, backlogs: tuple[int, ...]) -> None:
    """Print the peak resident memory of the worker's largest process while it works each backlog off."""
    for backlog in backlogs:
        before = rig.one("select coalesce(sum(records), 0) from ops.batches")
        with rig.nobody_plans():
            rig.produce("--fast", "--count", str(backlog))
        done = threading.Event()
        peaks: dict[int, int] = {}
        watcher = threading.Thread(target=_watch, args=(rig.worker_pids(), peaks, done))
        watcher.start()
        rig.wait_for_records(before + backlog)
        done.set()
        watcher.join()
        print(f"  backlog {backlog:9,}: peak {max(peaks.values()) / 2**20:6.0f} MiB resident in one worker process")


def _watch(pids: list[int], peaks: dict[int, int], done: threading.Event) -> None:
    processes = [psutil.Process(pid) for pid in pids]
    while not done.wait(0.02):
        for process in processes:
            try:
                peaks[process.pid] = max(peaks.get(process.pid, 0), process.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
