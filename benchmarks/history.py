"""Dagster's own tables and the user interface after 1,000 and after 10,000 runs, with finished runs trimmed meanwhile.

What belongs here: making the runs (copies of a real one of ingest and a real one of the aggregates), asking what the
pages of the user interface ask, printing ratios. What does not: the trimming (`assets.upkeep`).
"""

import json
import statistics
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from assets.upkeep import sizes
from assets.upkeep.dagster_history import RunHistory, trim
from benchmarks.copied_runs import copy_run
from benchmarks.rig import Rig
from infra.local import state
from resources.postgres import Postgres

_JOBS = ("ingest", "refresh_aggregates")
_APART = timedelta(seconds=10)
_STEP = 250
_FEW = 1_000
_WARM_UP, _TIMES = 5, 25
_PAGES = {
    "page of runs": "{ runsOrError(limit: 25) { ... on Runs { count results"
    " { runId status jobName startTime endTime tags { key value } assetSelection { path } } } } }",
    "page of a run": '{ logsForRun(runId: "RUN") { ... on EventConnection { events { __typename } } }'
    ' runOrError(runId: "RUN") { ... on Run { stats { ... on RunStatsSnapshot { materializations } } } } }',
    "page of an asset": '{ assetOrError(assetKey: {path: ["raw", "events"]}) { ... on Asset '
    "{ assetMaterializations(limit: 50) { runId timestamp metadataEntries { label } } } } }",
    "catalog": "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId timestamp } } }",
}


def measure(rig: Rig, runs: int) -> None:
    """Print sizes and medians after 1,000 runs and after `runs`, of which the last 1,000 are kept, and the ratios."""
    postgres = Postgres(rig.settings.postgres_url)
    rig.produce("--rate", "200", "--duration", "20s")
    rig.wait_for_records(3_000)
    _wait_for_runs(rig)
    with rig.nobody_plans():
        templates = [rig.one(_TEMPLATE, job) for job in _JOBS]
        began = rig.one("select max(update_timestamp) at time zone 'utc' from dagster.runs")
        few = _after(rig, postgres, templates, began, 0, _FEW)
        many = _after(rig, postgres, templates, began, _FEW, runs)
    _show(few, many, runs)


_TEMPLATE = """
select r.run_id from dagster.runs as r
where r.pipeline_name = %s and r.status = 'SUCCESS'
order by (select count(*) from dagster.event_logs as e where e.run_id = r.run_id) desc, r.id desc limit 1
"""


def _wait_for_runs(rig: Rig) -> None:
    deadline = time.monotonic() + 60
    while not all(rig.one(_TEMPLATE, job) for job in _JOBS) or rig.one("select count(*) from ops.dirty_buckets"):
        if time.monotonic() > deadline:
            raise TimeoutError("no run of each job within a minute")
        time.sleep(0.5)


def _after(
    rig: Rig, postgres: Postgres, templates: list[str], began: datetime, done: int, runs: int
) -> dict[str, float]:
    """Add runs up to so many, trimming as the schedule would; then megabytes by table and seconds by page."""
    history = RunHistory(_JOBS, succeeded=_FEW * _APART, failed=_FEW * _APART)
    trimming, removed = 0.0, 0
    while done < runs:
        done += _STEP
        for number, share in enumerate((_STEP * 4 // 5, _STEP // 5)):
            # The last copy is the next one's original: the first is trimmed before long.
            *_, templates[number] = copy_run(
                postgres, templates[number], share, -_STEP * _APART, _APART * (_STEP / share)
            )
        trimmed = trim(postgres, history, began.astimezone(UTC) + done * _APART)
        trimming, removed = trimming + trimmed.seconds, removed + trimmed.runs
    if removed:
        print(
            f"  trimmed {removed:,} runs in {trimming:.1f} s, vacuum included: {1000 * trimming / removed:.2f} ms a run"
        )
    with postgres.connect("bench") as connection:
        found = {size.table: size.bytes / 1e6 for size in sizes.sizes(connection, "dagster")}
    newest = rig.one("select run_id from dagster.runs order by id desc limit 1")
    pages = {name: _median(rig, query.replace("RUN", newest)) for name, query in _PAGES.items()}
    tables = {f"table {name}": found[name] for name in ("event_logs", "runs", "run_tags")}
    return {"all tables": sum(found.values()), **tables, **pages}


def _median(rig: Rig, query: str) -> float:
    taken: list[float] = []
    for _ in range(_WARM_UP + _TIMES):
        began = time.perf_counter()
        _ask(rig, query)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[_WARM_UP:])


def _ask(rig: Rig, query: str) -> None:
    """Raises RuntimeError if the user interface would show an error."""
    port = state.load(rig.directory).ports["webserver"]
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    if found.get("errors"):
        raise RuntimeError(str(found["errors"])[:500])


def _show(few: Mapping[str, float], many: Mapping[str, float], runs: int) -> None:
    for name, before in few.items():
        unit, factor = ("ms", 1_000) if name in _PAGES else ("MB", 1)
        print(
            f"  {name:16} after {_FEW:,} runs {before * factor:8.1f} {unit}   after {runs:,} "
            f"{many[name] * factor:8.1f} {unit}   ratio {many[name] / before:.2f}"
        )
