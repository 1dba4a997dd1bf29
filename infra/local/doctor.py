"""Is this machine fit for the embedded stack, and does a running stack answer? Every answer says what to do.

What belongs here: looking. What does not: repairing, and printing.
"""

from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg

from infra.local import embedded, observe, plan, ports, postgres, preflight, processes, redis, state
from infra.local.preflight import Finding
from infra.local.services import LocalError
from infra.postgres.sql import statement
from resources.postgres import Postgres, describe

_WRITES = (
    "nothing is lost, events wait in Kafka: see its log; it must not be a standby, default_transaction_read_only "
    "must be off (alter database, role, system), and there must be room on its disk"
)

_TAKE_AWAY = (
    "run millrace migrate as a superuser, or as an administrator what docs/security.md lists under A hostile analyst; "
    "where neither can be, give analysts a replica"
)

_MEND_REDIS = "make room or mend it: docs/runbook.md, MillraceBrokerDown and MillraceRedisDown"


def examine(directory: Path, application: plan.Application) -> Iterator[Finding]:
    """Everything worth knowing, the machine first, then the stack."""
    yield from preflight.programs()
    try:
        home = plan.data_directory(directory)
    except LocalError as error:
        yield Finding("data directory", "FAIL", str(error), "choose another: --data-dir DIR")
        return
    yield Finding("data directory", "OK", str(home))
    yield from preflight.room(home)
    if state.supervisor(home):
        yield from _stack(home, application)
        return
    left = processes.find(home)
    yield _stale(left)
    if not left:  # they hold the ports, and go first
        yield from _ports(home, application)


def _stale(left: list[psutil.Process]) -> Finding:
    if left:
        text = f"{processes.summary(left)} run without a supervisor"
        return Finding("left over", "WARN", text, "millrace down ends them, and so does millrace up")
    return Finding("left over", "OK", "nothing of an earlier stack runs")


def _ports(home: Path, application: plan.Application) -> Iterator[Finding]:
    for name, default in plan.all_ports(application).items():
        port = state.load(home).ports.get(name, default)
        if ports.is_free(port):
            yield Finding(f"port {port}", "OK", f"free for {name}")
        else:
            advice = f"end it, or: millrace up --port {name}=PORT, or: millrace up --free-ports"
            yield Finding(f"port {port}", "FAIL", f"wanted for {name}, held by {ports.holder(port)}", advice)


def _stack(home: Path, application: plan.Application) -> Iterator[Finding]:
    try:
        found = observe.rows(home) or []
    except LocalError as error:
        yield Finding("supervisor", "FAIL", str(error), "start anew: millrace down, millrace up")
        return
    chosen = state.load(home).ports
    known = {row.name for row in found}.intersection((*embedded.ALL, *embedded.OPTIONAL))
    ready = {name: embedded.described(name, home, chosen).ready for name in known}
    for row in found:
        if not row.runs:
            yield Finding(row.name, "FAIL", f"{row.state} {row.problem}".strip(), f"see {row.log}")
        elif row.name in ready and not ready[row.name]():
            yield Finding(row.name, "FAIL", f"runs (pid {row.pid}) but does not answer", f"see {row.log}")
        elif row.name in (redis.CLAIMS, redis.BROKER) and (said := redis.refusal(chosen[row.name])):
            yield Finding(row.name, "FAIL", f"runs (pid {row.pid}) but takes no writes: {said}", _MEND_REDIS)
        else:
            yield Finding(row.name, "OK", f"runs (pid {row.pid})" + (", answers" if row.name in ready else ""))
    if off := state.load(home).metrics_off:
        level = "OK" if off == application.metrics_off else "WARN"
        yield Finding("monitoring", level, f"off: {off}", "once it is mended: millrace down, millrace up")
    if "postgres" in known and (address := state.environment(home).get("MILLRACE_POSTGRES_URL")):
        yield database(address)
        yield rights(address)
    if address := state.environment(home).get("MILLRACE_ANALYST_URL"):
        yield _analysts(address)


def _analysts(address: str) -> Finding:
    if postgres.answers(address):
        return Finding("analysts", "OK", "millrace_analyst reaches the tables: MILLRACE_ANALYST_URL of millrace env")
    advice = "see logs/migrate.log, and what MILLRACE_ANALYST_PASSWORD says in docs/settings.md"
    return Finding("analysts", "WARN", "millrace_analyst cannot log in", advice)


def database(address: str) -> Finding:
    """Whether a session of Millrace's own can be had, holds every text, and can write: down to the log on the disk."""
    try:
        with Postgres(address).connect("millrace-doctor", statement_timeout_seconds=5) as connection:
            encoding = connection.execute("show server_encoding").fetchone()
            connection.execute("select pg_logical_emit_message(true, 'millrace', '')")
    except psycopg.Error as error:
        return Finding("database", "FAIL", describe(error), _WRITES)
    if encoding != ("UTF8",):
        advice = "make a database with encoding 'UTF8' template template0, and move what is in this one"
        return Finding("database", "FAIL", f"its encoding is {encoding and encoding[0]}, not UTF8", advice)
    return Finding("database", "OK", "takes writes, in UTF8")


def rights(address: str) -> Finding:
    """Whether the analysts' role may what it should not; `migrate` takes away what its user can."""
    try:
        with Postgres(address).connect("millrace-doctor", statement_timeout_seconds=5) as connection:
            excess = [str(each) for (each,) in connection.execute(statement("excess").encode()).fetchall()]
    except psycopg.errors.UndefinedObject:
        return Finding("analysts' rights", "OK", "there is no role millrace_analyst")
    except psycopg.Error as error:
        return Finding("analysts' rights", "WARN", describe(error), "see its log, then: millrace doctor")
    if excess:
        return Finding("analysts' rights", "WARN", f"millrace_analyst {'; '.join(excess)}", _TAKE_AWAY)
    return Finding("analysts' rights", "OK", "no more than docs/security.md says")
