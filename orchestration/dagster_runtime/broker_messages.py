"""What a process takes from the broker: messages as Millrace sends them, made anew from what of them is needed.

What belongs here: reading, bounding and making anew a message. What does not: how kombu comes to it (`broker`), and
what a worker then does (`worker`, `run_tracker`).

Whoever can write to the broker can write anything. Kombu and Celery take much for granted: a message that is none ends
a worker, with the runs that it has at work, and one whose time limit is a number does so again each time it is put
back. So nothing is handed on but a task of ours with an id and texts, one of five commands, or an answer.
"""

import base64
import json
from typing import Any, Literal

import msgspec

EXECUTE = "millrace.execute_run"
SETTLE = "millrace.settle_run"
Command = Literal["millrace_runs", "millrace_interrupt", "ping", "revoke", "shutdown"]
_COMMANDS, _ANSWERS = ".celery.pidbox", ".reply.celery.pidbox"
_LONGEST_ID, _LONGEST_TEXT = 200, 10_000
_NEEDED = {"revoke": "task_id", "millrace_interrupt": "run_id"}
_Json = dict[str, Any]


class _Destination(msgspec.Struct):
    exchange: str
    routing_key: str
    redelivered: bool = False


class _Properties(msgspec.Struct):
    delivery_tag: str
    delivery_info: _Destination
    body_encoding: str = ""


class _Message(msgspec.Struct):
    body: str
    properties: _Properties
    headers: _Json


class _Task(msgspec.Struct):
    task: Literal["millrace.execute_run", "millrace.settle_run"]
    id: str


class _Order(msgspec.Struct):
    method: Command
    arguments: _Json = {}
    destination: list[str] | None = None
    ticket: str | None = None
    reply_to: _Destination | None = None


class _Times(msgspec.Struct):
    """Headers of a command or an answer: whose it is, and until when somebody waits for it."""

    ticket: str | None = None
    expires: float | None = None


def admitted(message: object, queue: str) -> _Json | None:
    """The message, made anew; None for what Millrace does not send to such a queue."""
    try:
        raw = msgspec.convert(message, _Message)
        encoded = raw.properties.body_encoding == "base64"
        body = json.loads(base64.b64decode(raw.body) if encoded else raw.body)
        if queue.endswith(_ANSWERS):
            return _made(raw, _times(raw), body)
        if queue.endswith(_COMMANDS):
            return _made(raw, _times(raw), _order(body))
        return _made(raw, *_task(raw, body))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


def _times(raw: _Message) -> _Json:
    return msgspec.to_builtins(msgspec.convert(raw.headers, _Times))


def _order(body: object) -> _Json:
    """A command with nothing but the one argument that it needs, by which no process is killed."""
    order = msgspec.convert(body, _Order)
    needed = _NEEDED.get(order.method)
    given = {} if needed is None else {needed: _bounded(order.arguments.get(needed), _LONGEST_ID)}
    return {**msgspec.to_builtins(order), "arguments": given}


def _task(raw: _Message, body: object) -> tuple[_Json, list[Any]]:
    """A task without time limits, times to wait for, and tasks to follow."""
    task = msgspec.convert(raw.headers, _Task)
    arguments = msgspec.convert(body, tuple[list[str], Any, Any])[0]
    if len(arguments) != (1 if task.task == EXECUTE else 2):
        raise ValueError
    texts = [_bounded(text, _LONGEST_TEXT) for text in arguments]
    id_ = _bounded(task.id, _LONGEST_ID)
    headers = {"lang": "py", "task": task.task, "id": id_, "root_id": id_, "parent_id": None, "ignore_result": True}
    return headers, [texts, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]


def _bounded(text: object, longest: int) -> str:
    return msgspec.convert(text, str)[:longest]


def _made(raw: _Message, headers: _Json, body: object) -> _Json:
    properties = {
        "delivery_tag": raw.properties.delivery_tag,
        "delivery_info": msgspec.to_builtins(raw.properties.delivery_info),
        "delivery_mode": 2,
        "priority": 0,
        "body_encoding": "base64",
        "correlation_id": headers.get("id"),
    }
    return {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": properties,
    }
