"""The code server: Dagster's `dagster api grpc`, whose definitions can be loaded again while it runs.

What belongs here: loading changed code on *Reload definitions*, and serving partitions that begin with the first event.
What does not: the definitions (`orchestration.definitions`), the command (`orchestration.cli.processes`).

Stock `dagster api grpc` ignores a reload; `dagster code-server start` does it with a second process, which nobody
starts again when it dies. Here the packages are imported anew in this process: a second or two, in which sensors tick
on. Code that cannot be imported is refused with its error, and what was served before is served on. The packages of
this file stay as they are: a change of `orchestration/dagster_runtime` needs a restart.
"""

import importlib
import logging
import sys
import threading
import uuid
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import grpc
import psycopg
from dagster._grpc import server as dagster_server
from dagster._grpc.__generated__ import dagster_api_pb2
from dagster._grpc.server import DagsterApiServer, LoadedRepositories
from typing_extensions import override

from orchestration import code_version, settings
from orchestration.dagster_runtime import broker
from orchestration.dagster_runtime.warmup import DEFINITIONS
from resources.postgres import describe

logger = logging.getLogger("millrace.code_server")
_LOOK_SECONDS = 10.0
# Ticks are held open, each in a thread; Dagster's default is four more than there are cores.
_THREADS = 16
_KEPT = ("orchestration.dagster_runtime", "orchestration.cli")


def start(host: str, port: int) -> None:
    """Go on as Dagster's own command, in this process, with the server below in the place of Dagster's."""
    from dagster._cli.api import api_cli

    # The command takes the class from its module by this name; a test watches that an upgrade keeps it so.
    setattr(dagster_server, DagsterApiServer.__name__, ReloadingServer)
    code = ["-m", DEFINITIONS, "--empty-working-directory"]
    threads = ["--max-workers", str(_THREADS)]
    api_cli.main(["grpc", *code, "-h", host, "-p", str(port), *threads], "dagster api")


class ReloadingServer(DagsterApiServer):
    """Dagster's server, which serves other definitions when the code or the first partition has changed."""

    _first_hour: datetime | None = None
    _code: str

    def __init__(self, *positional: Any, **named: Any) -> None:
        """Load the code, as Dagster does, then serve it with the partitions of now, and watch where they begin."""
        self._code = code_version.digest()
        super().__init__(*positional, **named)
        self.follow_first_hour()
        threading.Thread(target=self._watch, name="first-partition", daemon=True).start()

    @override
    def ReloadCode(self, _request: Any, context: grpc.ServicerContext) -> Any:
        """Load what has changed; without a change nothing is loaded anew but the definitions themselves."""
        with self._reload_lock:
            found = code_version.digest()
            try:
                if found != self._code:
                    self._load_anew()
                    self._code = found
                self._serve(self._first_hour_now())
            except Exception as error:  # whatever the import of the code raises
                logger.exception("the code cannot be loaded; what was served before is served on")
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, _said(error))
        return dagster_api_pb2.ReloadCodeReply()

    def follow_first_hour(self) -> None:
        """Serve the partitions of now, if they begin elsewhere than those that are served."""
        first_hour = self._first_hour_now()
        if first_hour != self._first_hour:
            self._serve(first_hour)

    def _watch(self) -> None:
        while not self._server_termination_event.wait(_LOOK_SECONDS):
            with self._reload_lock:
                try:
                    self.follow_first_hour()
                except Exception:
                    logger.exception("the definitions cannot be made with the partitions of now")

    def _first_hour_now(self) -> datetime:
        """Without an answer from PostgreSQL as before, and at first the current one."""
        now = datetime.now(UTC)
        try:
            return _definitions().first_hour(now)
        except psycopg.Error as error:
            logger.warning("PostgreSQL does not say when the first event was: %s", describe(error))
            return self._first_hour or now.replace(minute=0, second=0, microsecond=0)

    def _serve(self, first_hour: datetime) -> None:
        """Ready-made definitions take the place of those before; a new id has the daemon and the web server ask."""
        repository = _definitions().served(first_hour).get_repository_def()
        repository.load_all_definitions()
        loaded = self._loaded_repositories
        if loaded is not None:  # pragma: no branch - a server that could not load anything has ended
            self._loaded_repositories = loaded.update_repo_defs({repository.name: repository})
        self._first_hour, self._server_id = first_hour, str(uuid.uuid4())

    def _load_anew(self) -> None:
        """Import our packages again; on an error the modules are those of before."""
        before = _take_out_modules()
        try:
            loaded = LoadedRepositories(
                self._loadable_target_origin, self._container_image, self._entry_point, self._container_context
            )
        except BaseException:
            _take_out_modules()
            sys.modules.update(before)
            raise
        before[DEFINITIONS].close()
        self._loaded_repositories = loaded
        _restart_workers()


def _definitions() -> Any:
    return importlib.import_module(DEFINITIONS)


def _take_out_modules() -> dict[str, ModuleType]:
    importlib.invalidate_caches()
    names = [name for name in sys.modules if name.split(".")[0] in code_version.PACKAGES and not _stays(name)]
    return {name: sys.modules.pop(name) for name in names}


def _stays(name: str) -> bool:
    return any(name == kept or name.startswith(f"{kept}.") or kept.startswith(f"{name}.") for kept in _KEPT)


def _restart_workers() -> None:
    """Each finishes the runs in hand and ends; who keeps it running starts it again, with the code of now."""
    try:
        broker.client(settings.load().broker_url).control.shutdown()
    except broker.ERRORS as error:
        logger.warning("the workers could not be told to start again: %s", type(error).__name__)


def _said(error: BaseException) -> str:
    cause = error.__cause__ or error
    return f"the code cannot be loaded, what was served before is served on: {type(cause).__name__}: {cause}"
