"""The embedded stack up and down again, with its progress shown.

What belongs here: what `millrace up`, `down` and `demo` have in common. What does not: the stack itself
(`infra.local`), what runs on it (`programs`), how it looks (`stack_view`).
"""

import shlex
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from infra.local import observe, state
from infra.local.plan import Application
from infra.local.services import LocalError
from infra.local.stack import Stack
from orchestration.cli import programs, signals, stack_view
from orchestration.cli.stack_options import DEFAULT


def bring_up(console: Console, data_dir: Path, ports: dict[str, int], *, any_free: bool) -> None:
    """Start a stack and say where everything is; or say that it is up already.

    Raises:
        LocalError: it could not be started; nothing of it runs.
    """
    began = time.monotonic()
    application = programs.application()
    stack = Stack(data_dir, application)
    with signals.as_ctrl_c(once=True), stack_view.progress(console) as report:
        outcome = stack.up(report, ports=ports, any_free=any_free)
    took = "is up already" if outcome == "was up" else f"is up ({time.monotonic() - began:.1f} s)"
    console.print(f"\nMillrace {took}\n", style="bold green", highlight=False)
    option = "" if data_dir == DEFAULT.resolve() else f" --data-dir {shlex.quote(str(data_dir))}"
    if outcome != "started" and (other := programs.differences(application, data_dir)):
        stack_view.differs(console, other, option)
    stack_view.places(console, data_dir, state.load(data_dir), option)


def bring_down(console: Console, data_dir: Path) -> None:
    """Stop a stack; say what was found beside it."""
    was_up = state.supervisor(data_dir) is not None
    with stack_view.progress(console) as report:
        left = Stack(data_dir, Application()).down(report)
    if left:
        console.print(f"ended what was left behind: {left}", highlight=False, soft_wrap=True)
    elif was_up:
        console.print("everything is down")
    else:
        console.print(f"nothing runs in {data_dir}", highlight=False, soft_wrap=True)


def bring_down_to_restart(console: Console, data_dir: Path) -> None:
    """Say what is taken over by the start that follows, and stop; what cannot be started stops nothing.

    Raises:
        SettingsError: a setting of this shell is wrong.
    """
    other = programs.differences(programs.application(), data_dir)
    what = ", ".join(other) or "nothing: neither settings nor code differ"
    console.print(f"taken over by the restart: {what}", highlight=False, soft_wrap=True)
    bring_down(console, data_dir)


@contextmanager
def running(console: Console, data_dir: Path, ports: dict[str, int], *, any_free: bool = False) -> Generator[bool]:
    """A stack that is up within the block and down after it, also after Ctrl-C, SIGTERM or an error.

    One that was up before is used as it is and left up; the block is told by False. How to reach it is in
    `infra.local.state.environment(data_dir)`.
    """
    is_ours = state.supervisor(data_dir) is None
    with signals.as_ctrl_c():
        bring_up(console, data_dir, ports, any_free=any_free)
        try:
            yield is_ours
        finally:
            if is_ours:
                with signals.ignored():
                    bring_down(console, data_dir)


def watch(console: Console, data_dir: Path) -> None:
    """One line about the stack, until Ctrl-C or until it is gone.

    Raises:
        LocalError: it is gone, and nobody has brought it down.
    """
    console.print()
    try:
        with console.status("") as line:
            while state.supervisor(data_dir) is not None:
                line.update(_line(data_dir))
                time.sleep(1)
    except KeyboardInterrupt:
        console.print()
        return
    if state.load(data_dir).supervisor is not None:
        raise LocalError(f"the supervisor has ended by itself; see {data_dir / 'logs' / 'supervisord.log'}")
    console.print("the stack was brought down from elsewhere")


def _line(data_dir: Path) -> str:
    try:
        return stack_view.one_line(observe.rows(data_dir) or [])
    except LocalError as error:
        return str(error)
