"""Dagster's web server behind our rules: HTTP and websockets, and how it is started.

What belongs here: the ASGI app around Dagster's. What does not: who is refused (`web_rules`), `cli.processes`.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from orchestration.dagster_runtime import instance as home
from orchestration.dagster_runtime.web_rules import Asked, Rules

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

# As the proxy's server.conf, and for browsers that know no X-Frame-Options.
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_POLICY, _NO_FRAMES = b"content-security-policy", b"frame-ancestors 'none'"
_KINDS = ("http", "websocket")
_POLICY_VIOLATION = 1008
_MAKES_APP = "create_app_from_workspace_process_context"


@dataclass(frozen=True)
class Guarded:
    """An ASGI app that is asked only what the rules let pass."""

    app: App
    rules: Rules

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse, or hand on; start-up and shut-down are the app's own."""
        if scope["type"] not in _KINDS:
            await self.app(scope, receive, send)
            return
        refused = self.rules.refusal(asked(scope))
        if refused is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "http":
            await _answer(_with_headers(send), "http.response", *refused)
        else:
            await receive()
            await _refuse_websocket(scope, send, *refused)


def asked(scope: Message) -> Asked:
    """What the rules look at."""
    headers: dict[str, list[str]] = defaultdict(list)
    for name, value in scope["headers"]:
        headers[name.decode("latin-1").lower()].append(value.decode("latin-1").strip())
    return Asked(
        method=scope.get("method", ""),
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        address=(scope.get("server") or ("",))[0],
    )


def start(hosts: tuple[str, ...], host: str, port: int, workspace: str) -> None:
    """Go on as Dagster's own command, in this process, with the rules around its app."""
    from dagster_webserver import cli

    make: Callable[..., App] = getattr(cli, _MAKES_APP)

    def guarded(*positional: Any, **named: Any) -> Guarded:
        return Guarded(make(*positional, **named), Rules(hosts))

    # The command makes its app by this name and hands it to uvicorn; a test watches that an upgrade keeps it so.
    setattr(cli, _MAKES_APP, guarded)
    home.ask_the_code_server_less_often()
    cli.dagster_webserver.main(
        ["-h", host, "-p", str(port), "-w", workspace], "dagster-webserver", auto_envvar_prefix="DAGSTER_WEBSERVER"
    )


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in HEADERS]
            policies = b"; ".join([v.strip(b"; ") for n, v in kept if n.lower() == _POLICY] + [_NO_FRAMES])
            others = [(name, value) for name, value in kept if name.lower() != _POLICY]
            message = {**message, "headers": [*others, *HEADERS.items(), (_POLICY, policies)]}
        await send(message)

    return sending


async def _answer(send: Send, kind: str, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


async def _refuse_websocket(scope: Message, send: Send, status: int, text: str) -> None:
    """In words, if the server can answer so before there is a websocket."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await _answer(send, "websocket.http.response", status, text)
    else:
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": text[:120]})
