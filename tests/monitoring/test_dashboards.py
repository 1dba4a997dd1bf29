"""Every panel's query is answered, by a real Prometheus with a history and a real PostgreSQL with a shop's events."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.monitoring.browser import PHONE, browsing, look, serving
from tests.monitoring.demo_data import analysts_url
from tests.monitoring.demo_prometheus import ask
from tests.monitoring.grafana_queries import BOARDS, filler, targets
from tests.support.world import World

# Why a panel may be empty.
EMPTY = {"Of the chosen user or address A": "nobody is chosen until somebody chooses"}
PROMETHEUS, POSTGRES = "prometheus", "grafana-postgresql-datasource"
_SQL_TYPES = {1082: "date", 1114: "timestamp", 1184: "timestamptz", 700: "float4", 701: "float8", 1700: "numeric"}


def test_every_query_of_prometheus_is_answered(prometheus: str) -> None:
    until = datetime.now(UTC)
    wrong: dict[str, str] = {}
    for name, title, panel, target in targets(PROMETHEUS):
        given = filler(BOARDS[name], panel, until, topic=(".*",))
        expr = given.prometheus(target["expr"])
        assert "$" not in expr, f"{title}: not filled in: {expr}"
        try:
            found = _of_prometheus(prometheus, expr, given, instant=target["instant"])
            numbers = [float(value) for series in found for _, value in series]
            if not any(value == value for value in numbers):  # NaN is no answer
                wrong[title] = f"{expr}: empty"
        except AssertionError as error:
            wrong[title] = f"{expr}: {error}"
    assert {title: why for title, why in wrong.items() if title not in EMPTY} == {}


def _of_prometheus(url: str, expr: str, given: Any, *, instant: bool) -> list[list[tuple[float, str]]]:
    end = given.until.timestamp()
    if instant:
        return [[each["value"]] for each in ask(url, "query", query=expr, time=end)]
    step = max(15, given.interval)
    found = ask(url, "query_range", query=expr, start=end - given.since.total_seconds(), end=end, step=step)
    return [each["values"] for each in found]


def test_every_legend_names_labels_that_the_answer_has(prometheus: str) -> None:
    until = datetime.now(UTC)
    for name, title, panel, target in targets(PROMETHEUS):
        expr = filler(BOARDS[name], panel, until, topic=(".*",)).prometheus(target["expr"])
        labels = {label for each in ask(prometheus, "query", query=expr) for label in each["metric"]}
        used = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        linked = json.dumps(panel["fieldConfig"]["defaults"].get("links", []))
        used |= set(re.findall(r"__field\.labels\.(\w+)", linked))
        assert used <= labels, f"{title}: {used - labels}"


def test_variables_and_annotations_find_something(prometheus: str) -> None:
    found = ask(prometheus, "label/topic/values", **{"match[]": "millrace_consumer_lag_events"})
    [topic] = [each for each in BOARDS["pipeline"]["templating"]["list"] if each["name"] == "topic"]
    assert topic["query"]["query"] == "label_values(millrace_consumer_lag_events, topic)"
    assert found == ["user-events"]
    for board in BOARDS.values():
        for annotation in board["annotations"]["list"]:
            assert ask(prometheus, "query", query=annotation["expr"]) != [], annotation["name"]


@pytest.mark.services
def test_every_query_of_postgres_is_answered_to_an_analyst(shop: World) -> None:
    wrong: dict[str, str] = {}
    with _analyst(shop) as session:
        types = _types(session)
        for name, title, panel, target in targets(POSTGRES):
            given = filler(BOARDS[name], panel, datetime.now(UTC), type=types)
            if problem := _problem(session, given.postgres(target["rawSql"]), target["format"]):
                wrong[title] = problem
    assert {title: why for title, why in wrong.items() if title not in EMPTY} == {}


@pytest.mark.services
def test_a_chosen_user_and_a_chosen_address_narrow_the_logins(shop: World) -> None:
    found = {title: (panel, target) for _, title, panel, target in targets(POSTGRES)}
    board = BOARDS["security"]
    with _analyst(shop) as session:
        for title in ("Of the chosen user or address A", "Latest flagged A"):
            panel, target = found[title]
            chosen = filler(board, panel, datetime.now(UTC), user=("zoe",), address=("198.51.100.66",))
            rows = session.execute(chosen.postgres(target["rawSql"]).encode()).fetchall()
            assert {row[1] for row in rows} == {"zoe"}, title


@pytest.mark.services
def test_what_is_typed_into_a_variable_is_a_text_and_no_sql(shop: World) -> None:
    [(panel, target)] = [(p, t) for _, title, p, t in targets(POSTGRES) if title == "Latest flagged A"]
    evil = filler(BOARDS["security"], panel, datetime.now(UTC), user=("' or true --",))
    with _analyst(shop) as session:
        assert session.execute(evil.postgres(target["rawSql"]).encode()).fetchall() == []


@pytest.mark.services
def test_a_browser_draws_these_answers_without_grafana(shop: World, tmp_path: Path) -> None:
    """One page of `millrace dashboard`; `make test-dashboards` looks at all of them."""
    titles = ("Active users of the last full day", "Active users", "Right now", "Top pages", "Retention by week")
    with serving(tmp_path, MILLRACE_ANALYST_URL=analysts_url(shop)) as url, browsing(PHONE) as page:
        seen = look(page, url, "/d/millrace-product", titles)
    assert {title: panel.text for title, panel in seen.panels.items() if panel.state != "drawn"} == {}
    assert [title for title, panel in seen.panels.items() if panel.is_painted] == ["Active users", "Top pages"]
    assert (seen.problems, seen.is_too_wide) == ([], False)


def _analyst(world: World) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(analysts_url(world), autocommit=True)


def _types(session: psycopg.Connection[tuple[Any, ...]]) -> tuple[str, ...]:
    """What the variable `type` offers; All stands for all of them."""
    [variable] = [each for each in BOARDS["product"]["templating"]["list"] if each["name"] == "type"]
    return tuple(value for (value,) in session.execute(variable["query"].encode()).fetchall())


def _problem(session: psycopg.Connection[tuple[Any, ...]], text: str, form: str) -> str:
    """What is wrong with an answer; nothing: an empty text."""
    if "$" in text:
        return f"not filled in: {text}"
    try:
        cursor = session.execute(text.encode())
    except psycopg.Error as error:
        return f"{text}: {error}"
    rows, columns = cursor.fetchall(), cursor.description or []
    if not any(value is not None for row in rows for value in row):
        return f"{text}: empty"
    if form == "table":
        return ""
    if columns[0].name != "time" or columns[0].type_code not in _SQL_TYPES:
        return f"{text}: lines need a first column `time`"
    times = [_number(row[0]) for row in rows]
    return "" if times == sorted(times) else f"{text}: not in the order of time"


def _number(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value.toordinal()) if isinstance(value, date) else float(value)
