"""Talking to a supervisord that runs: its XML-RPC over a socket of the file system.

What belongs here: the few questions and orders that the stack needs. What does not: supervisord's configuration
(`supervisor`), and the order of starting and stopping (`sequence`).
"""

import http.client
import socket
import xmlrpc.client  # nosec B411  # our own supervisord's, over a socket that only its owner may open
from pathlib import Path
from typing import Any

from typing_extensions import override

from infra.local.services import LocalError
from infra.local.supervisor import socket_path

_PATIENCE = 5.0
_ALREADY_STARTED, _NOT_RUNNING = 60, 70


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @override
    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path)


class Remote:
    """A supervisord that runs. Each call raises LocalError when it does not answer within seconds."""

    def __init__(self, directory: Path) -> None:
        self._path = socket_path(directory)

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(self._path)) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise LocalError(f"the supervisor does not answer: {error}") from error

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            return self._call("getState")["statename"] == "RUNNING"
        except LocalError:
            return False

    def start(self, name: str) -> None:
        """Start a program; nothing happens when it runs."""
        self._ignoring("startProcess", name)

    def stop(self, name: str) -> None:
        """Stop a program, without waiting for it; nothing happens when it does not run."""
        self._ignoring("stopProcess", name)

    def _ignoring(self, method: str, name: str) -> None:
        try:
            self._call(method, name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in {_ALREADY_STARTED, _NOT_RUNNING}:
                raise LocalError(f"{name}: {fault.faultString}") from fault

    def programs(self) -> dict[str, dict[str, Any]]:
        """What supervisord knows of each program: `statename`, `pid`, `start`, `now`, `stdout_logfile` and more."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")}

    def shut_down(self) -> None:
        """End supervisord; what still runs it stops first."""
        self._call("shutdown")
