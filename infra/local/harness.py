"""Single services for tests and for development: started without a supervisor, ended with the `with` block.

What belongs here: choosing ports, preparing and ending. What does not: restarting what
dies, and everything of Dagster's (`stack`).

    with running(tmp_path) as stack:
        load(stack.environment)
        stack.kill("postgres")
        stack.start("postgres")

`python -m infra.local.harness --data-dir DIR` runs the services until Ctrl-C and prints how to
reach them.
"""

import argparse
import shlex
import signal
import subprocess
import sys
from collections.abc import Collection, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from infra.local import embedded, files, ports, processes, state
from infra.local.children import Running
from infra.local.services import LocalError

__all__ = ["Running", "running"]


@contextmanager
def running(
    data_directory: Path,
    services: Collection[str] = embedded.ALL,
    *,
    given_ports: Mapping[str, int] | None = None,
) -> Generator[Running]:
    """Start services on a data directory, new or used before; end them all, also after an exception.

    Args:
        data_directory: where data, settings and logs go; nobody else may use it meanwhile.
        services: some of `postgres`, `redis`, `broker`, `kafka`, `pushgateway`, `prometheus`, `alertmanager`; the
            last three must be there (`monitoring.fetch`), and know of each other as far as they are started.
        given_ports: ports by service name; free ones for the rest.
    """
    directory = data_directory.absolute().resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as cleanup:
        cleanup.enter_context(files.locked(directory / "lock", busy=f"{directory} is in use by another process"))
        if state.supervisor(directory):
            raise LocalError(f"a stack runs in {directory}; end it first: millrace down --data-dir {directory}")
        processes.sweep(directory)
        chosen = _ports(services, given_ports or {})
        names = [name for name in (*embedded.ALL, *embedded.OPTIONAL) if name in services]
        with ThreadPoolExecutor(len(names) or 1) as pool:
            list(pool.map(partial(embedded.prepare, directory=directory, ports=chosen), names))
        prepared = {name: embedded.described(name, directory, chosen) for name in names}
        stack = Running(directory, prepared, embedded.environment(names, directory, chosen))
        cleanup.enter_context(_reaper(directory))
        cleanup.callback(processes.sweep, directory)
        cleanup.callback(stack.stop_all)
        for name in names:
            stack.start(name, wait=False)
        for name in names:
            stack.wait(name)
        yield stack


def _ports(services: Collection[str], given: Mapping[str, int]) -> dict[str, int]:
    wanted = [name for name in embedded.port_names(services) if name not in given]
    return {**given, **dict(zip(wanted, ports.free(len(wanted), given.values()), strict=True))}


@contextmanager
def _reaper(directory: Path) -> Generator[None]:
    command = (sys.executable, "-P", "-m", "infra.local.reaper", str(directory))
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as child:
        yield
        child.kill()


def main() -> None:
    """Run services in the foreground until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description="Run PostgreSQL, Redis, Celery's Redis and Kafka, or others, until Ctrl-C."
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument(
        "--services", nargs="+", default=list(embedded.ALL), choices=(*embedded.ALL, *embedded.OPTIONAL)
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        with running(arguments.data_dir, arguments.services) as stack:
            for name, value in stack.environment.items():
                print(f"export {name}={shlex.quote(value)}", flush=True)  # noqa: T201 - this is its answer
            signal.pause()
    except KeyboardInterrupt:
        pass
    except LocalError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
