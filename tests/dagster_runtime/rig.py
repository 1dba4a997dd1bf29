"""A whole engine for tests: PostgreSQL and broker, code server, worker and daemon, each a process of its own.

What belongs here: starting, asking and ending. What does not: assertions.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import psycopg
import redis
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, JobDefinition
from dagster._core.definitions.reconstruct import ReconstructableRepository

from infra.local import ports
from infra.local.harness import Running, running
from infra.local.services import answers_tcp
from orchestration.dagster_runtime.instance import prepare_home

REPOSITORY = Path(__file__).parents[2]
T = TypeVar("T")

CODE = "tests.dagster_runtime.sample_definitions"
MILLRACE = (sys.executable, "-c", "from orchestration.cli import main; main()")


def eventually(ask: Callable[[], T], seconds: float, what: str) -> T:
    """Ask until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
    return answer


@dataclass
class Rig:
    """Running processes and questions to ask them."""

    services: Running
    directory: Path
    environment: dict[str, str]
    processes: dict[str, psutil.Popen] = field(default_factory=dict[str, psutil.Popen])

    def start(self, name: str, *command: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = psutil.Popen(
                command, cwd=REPOSITORY, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def start_worker(self, queue: str = "ingest", concurrency: int = 2) -> None:
        """Start it and wait until it takes runs."""
        before = self.log(queue).count("is ready")
        self.start(queue, *MILLRACE, "worker", queue, "--concurrency", str(concurrency), "--code", CODE)
        eventually(lambda: self.log(queue).count("is ready") > before, 60, f"worker of {queue} ready")

    def log(self, name: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / f"{name}.log").read_text()
        return ""

    def stop(self, name: str) -> int:
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(40)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait(10)

    def end(self) -> None:
        """Kill what is left, with all its children."""
        for process in self.processes.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                family = [*process.children(recursive=True), process]
                for member in family:
                    member.kill()
        for process in self.processes.values():
            process.wait(10)

    def broker(self) -> "redis.Redis":
        return redis.Redis.from_url(self.environment["MILLRACE_BROKER_URL"], socket_timeout=5)

    def connections(self) -> int:
        """How many connections to PostgreSQL Dagster holds."""
        query = "select count(*) from pg_stat_activity where application_name = 'millrace-dagster'"
        with psycopg.connect(self.environment["MILLRACE_POSTGRES_URL"]) as connection:
            found = connection.execute(query).fetchone()
        assert found
        return int(found[0])

    def launch(self, instance: DagsterInstance, job: JobDefinition, **config: object) -> DagsterRun:
        """Create a run of a job of the sample definitions and send it to its queue."""
        repository = ReconstructableRepository.for_module(CODE, "defs")
        run = instance.create_run_for_job(
            job,
            run_config={"ops": {"slow": {"config": config}}} if config else {},
            tags=dict(job.tags),
            job_code_origin=repository.get_reconstructable_job(job.name).get_python_origin(),
        )
        instance.launch_run(run.run_id, None)  # pyright: ignore[reportArgumentType] - the launcher uses no workspace
        return run


def status(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status


@contextlib.contextmanager
def rig(directory: Path) -> Generator[Rig]:
    """PostgreSQL, the broker, the code server, a worker of `ingest` and the daemon."""
    with running(directory / "services", ("postgres", "broker")) as services:
        port = ports.free(1, [])[0]
        _home(directory / "home")
        made = Rig(services, directory, _environment(directory, services.environment, port))
        server = ("api", "grpc", "-m", CODE, "-h", "127.0.0.1", "-p", str(port), "--empty-working-directory")
        try:
            made.start("code", sys.executable, "-m", "dagster", *server)
            made.start_worker()
            eventually(lambda: answers_tcp(port), 60, "code server")
            made.start("daemon", *MILLRACE, "daemon")
            yield made
        finally:
            made.end()


def _home(directory: Path) -> None:
    """Ours, with less patience for runs that do not begin, so that a test need not wait for half a minute."""
    prepare_home(directory)
    file = directory / "dagster.yaml"
    text = file.read_text()
    assert "start_timeout_seconds: 30" in text
    file.write_text(text.replace("start_timeout_seconds: 30", "start_timeout_seconds: 5"))


def _environment(directory: Path, services: Mapping[str, str], port: int) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")},
        **services,
        "MILLRACE_REDIS_URL": services["MILLRACE_BROKER_URL"],
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "MILLRACE_CODE_SERVER_HOST": "127.0.0.1",
        "MILLRACE_CODE_SERVER_PORT": str(port),
        "DAGSTER_HOME": str(directory / "home"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
    }
