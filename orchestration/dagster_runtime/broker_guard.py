"""What a message that came through the broker may ask of a worker, and what of it may be logged.

What belongs here: bounds for whoever can write to the broker. What does not: what the workers do (`worker`), and how
they are asked for what they hold (`run_tracker`).

Celery's workers take a dozen more commands than Millrace sends, among them one that starts any number of processes, and
bring tasks of their own. Its log lines quote messages. None of that is needed here.
"""

import logging
from typing import get_args

from celery import Celery
from celery.worker.control import Panel
from typing_extensions import override

from contract.shown import on_a_line, said
from orchestration.dagster_runtime import broker_messages, run_tracker

COMMANDS = frozenset(get_args(broker_messages.Command))
OURS = (run_tracker.RUNS, run_tracker.INTERRUPT)  # Celery knows them since that module was imported
_MOST_LOGGED = 2_000
_LONGEST_ID = 64


def admit_only_ours(app: Celery) -> None:
    """Have a worker take the commands that Millrace sends, and no task but its own."""
    for name in Panel.data.keys() - COMMANDS:
        del Panel.data[name]
    app.finalize()
    for name in [name for name in app.tasks if name.startswith("celery.")]:
        app.tasks.pop(name)


def run_id_of(found: object) -> str:
    """A run's id as a message names it; empty for what cannot be one."""
    return found if isinstance(found, str) and len(found) <= _LONGEST_ID else ""


class OneLineFormatter(logging.Formatter):
    """A record is one line, and what follows it of a traceback is indented: nobody's text can pass for a record."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
        bare = {"msg": said(record.getMessage(), _MOST_LOGGED), "args": None, "exc_info": None, "exc_text": None}
        first = super().format(logging.makeLogRecord({**record.__dict__, **bare}))
        return "\n".join((first, *(f"  {on_a_line(line)[:_MOST_LOGGED]}" for line in trace.splitlines())))
