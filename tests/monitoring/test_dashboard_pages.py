"""The pages of `millrace dashboard`: what they draw of which answer, without a browser and without services."""

import asyncio
import re
from collections.abc import Awaitable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from monitoring.dashboard import asking, charts, colours, empty, frames, markup, plots, server, units
from monitoring.dashboard.asking import Asking, Drawing, PageState
from monitoring.dashboard.boards import Board, Panel, boards
from monitoring.dashboard.charts import Span
from monitoring.dashboard.colours import DARK, LIGHT, Palette
from monitoring.dashboard.filling import seconds
from monitoring.dashboard.frames import Rows, Series
from monitoring.dashboard.page import Page
from monitoring.dashboard.sources import Database, Prometheus, Shared, Unanswered
from tests.monitoring.grafana_queries import BOARDS, FOLDER, panels

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
SPAN = Span(0, 600, 60)


def panel(title: str, board: str = "pipeline") -> Panel:
    [found] = [each for each in boards()[f"millrace-{board}"].panels() if each.title == title]
    return found


def view(board: str = "security", **variables: str) -> PageState:
    found = boards()[f"millrace-{board}"]
    return PageState(found, found.since, {**found.initial, **{name: (value,) for name, value in variables.items()}})


def test_the_pages_are_grafanas_dashboards_panel_by_panel() -> None:
    assert {uid.removeprefix("millrace-") for uid in boards()} == set(BOARDS)
    for name, raw in BOARDS.items():
        board = boards()[f"millrace-{name}"]
        assert [each.number for each in board.panels()] == [each["id"] for each in panels(raw)]
        for found, told in zip(board.panels(), panels(raw), strict=True):
            asked = [target.get("expr") or target.get("rawSql") for target in told.get("targets", [])]
            assert [target.text for target in found.targets] == asked


def test_the_pages_ask_as_often_as_grafana_believes_that_prometheus_scrapes() -> None:
    settings = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "millrace.yml").read_text(encoding="utf-8"))
    [prometheus] = [each for each in settings["datasources"] if each["uid"] == "prometheus"]
    assert prometheus["jsonData"]["timeInterval"] == f"{asking.SCRAPE}s"


def test_every_kind_of_panel_that_there_is_has_a_drawing() -> None:
    lines = [Series("1", [(60.0 * at, float(at % 2)) for at in range(9)])]
    table = Rows(["a", "b"], [["x", 1.0]])
    drawn = {each.kind: _drawn(each, [lines, table]) for board in boards().values() for each in board.panels()}
    assert {kind for kind, drawing in drawn.items() if drawing is None} == {"alertlist"}, "drawn by a way of its own"


def _drawn(each: Panel, found: list[frames.Frame]) -> Drawing | None:
    made = Asking(Prometheus(None), Database(None), {})
    filler = made.filler(each, view(), 600.0)
    return made.drawn(each, view(), found, filler)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("on", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_can_be_seen_on_its_background(on: Palette) -> None:
    texts = {"text": on.text, "muted": on.muted, **on.named}
    assert {name: colour for name, colour in texts.items() if _contrast(colour, on.card) < 4.5} == {}
    assert [colour for colour in on.series if _contrast(colour, on.card) < 3] == []


def test_a_line_has_one_colour_everywhere_and_no_two_lines_of_a_panel_share_one() -> None:
    names = [f"series {at}" for at in range(8)]
    chosen = colours.of_lines(names, {}, LIGHT)
    assert len(set(chosen.values())) == len(names)
    assert colours.of_lines(names[:1], {}, LIGHT)[names[0]] in LIGHT.series
    fixed = colours.of_lines(["stored", "dead_letter"], {"stored": "green", "dead_letter": "red"}, DARK)
    assert fixed == {"stored": DARK.named["green"], "dead_letter": DARK.named["red"]}


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("s", 0.0123, "12.3 ms"),
        ("s", 0, "0 s"),
        ("s", 7260, "2.017 h"),
        ("bytes", 3 * 2**30, "3 GiB"),
        ("binBps", 2048, "2 KiB/s"),
        ("percentunit", 0.1234, "12.34%"),
        ("short", 1234, "1,234"),
        ("short", 2_500_000, "2.5M"),
        ("eps", 512.5, "512.5 events/s"),
        ("d", 3.5, "3.5 d"),
        ("short", None, "-"),
        ("string", "<x>", "<x>"),
        ("dateTimeAsIso", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05"),
        ("time:YYYY-MM-DD", date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_values_are_written_with_their_unit(unit: str, value: Any, text: str) -> None:
    assert units.shown(unit, value) == text


def test_what_comes_from_data_is_text_in_tables_numbers_and_alerts() -> None:
    links = markup.Links({"runbook": "/runbook"})
    alert = {
        "labels": {"alertname": HOSTILE, "severity": HOSTILE},
        "annotations": {"summary": HOSTILE},
        "state": HOSTILE,
    }
    made = [
        markup.table(panel("Latest flagged", "security"), Rows(["user", HOSTILE], [[HOSTILE, HOSTILE]]), links),
        markup.numbers(panel("Services"), [Series(HOSTILE, [(0, 1.0)]), Series("b", [(0, 1.0)])], LIGHT),
        markup.alerts([alert], LIGHT, links),
    ]
    for html in made:
        assert "<img" not in html
        assert not re.search(r"<[^>]*[\"']&", html), "no quote ends an attribute"


def test_a_name_is_quoted_in_the_address_that_it_becomes_part_of() -> None:
    links = markup.Links({}, "from=now-7d&to=now")
    html = markup.table(panel("Latest flagged", "security"), Rows(["user"], [["a&b=c d"]]), links)
    assert 'href="/d/millrace-security?var-user=a%26b%3Dc%20d&amp;from=now-7d&amp;to=now"' in html


def test_rows_of_postgresql_become_lines_by_the_names_that_they_carry() -> None:
    day = date(2026, 1, 1)
    named = frames.of_postgres(["time", "metric", "events"], [[day, "a", Decimal(2)], [day, "b", None]], "time_series")
    wide = frames.of_postgres(["time", "dau", "wau"], [[day, 1, 2], [day, 3, None]], "time_series")
    at = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert named == [Series("a", [(at, 2.0)])]
    assert wide == [Series("dau", [(at, 1.0), (at, 3.0)]), Series("wau", [(at, 2.0)])]


def test_values_of_prometheus_that_are_no_numbers_are_no_points() -> None:
    found = frames.of_prometheus([{"metric": {"code": "x"}, "values": [[1, "NaN"], [2, "3"]]}], "{{code}}", "Title")
    assert found == [Series("x", [(2.0, 3.0)], {"code": "x"})]
    assert frames.of_prometheus([{"metric": {}, "value": [1, "NaN"]}], "__auto", "Title") == []


def test_a_line_has_a_hole_where_points_are_missing_and_parts_of_a_whole_stand_over_each_other() -> None:
    holes = charts.over_time(panel("Oldest unread record"), [Series("a", [(0, 1), (60, 1), (600, 1)])], SPAN, LIGHT)
    assert [value for _, value in holes["series"][0]["data"]] == [1, 1, None, 1]
    parts = [Series("stored", [(0, 1), (60, 2)]), Series("duplicate", [(60, 3)])]
    whole = charts.over_time(panel("Records by outcome"), parts, SPAN, LIGHT)
    assert [[at for at, _ in line["data"]] for line in whole["series"]] == [[0, 60_000], [0, 60_000]]
    assert {line["stack"] for line in whole["series"]} == {"A"}


def test_buckets_of_a_histogram_are_counted_once() -> None:
    cumulative = [Series("1", [(0, 5)]), Series("+Inf", [(0, 9)]), Series("0.1", [(0, 2)])]
    made = plots.density(panel("End to end, all records"), cumulative, SPAN, LIGHT)
    assert made["series"][0]["data"] == [[0, 0, 2], [0, 1, 3], [0, 2, 4]]
    assert made["yAxis"]["data"] == ["≤ 100 ms", "≤ 1 s", "≤ ∞"]


def test_a_chart_says_in_words_what_it_shows() -> None:
    made = charts.over_time(panel("Oldest unread record"), [Series("oldest unread", [(0, 61)])], SPAN, LIGHT)
    told = made["aria"]["label"]["description"]
    assert "Oldest unread record. Age of the oldest" in told
    assert "oldest unread 1.017 min" in told


def reason(title: str, board: str = "pipeline", **changes: Any) -> str:
    facts: dict[str, Any] = {"has_events": True, "has_metrics": True, "since": "7d", "typed": {}}
    return empty.reason(panel(title, board), empty.Facts(**{**facts, **changes}))


def test_an_empty_panel_says_why_and_what_to_do() -> None:
    assert "millrace produce" in reason("Top pages", "product", has_events=False)
    assert "Choose a longer time" in reason("Top pages", "product")
    assert "last 7 days" in reason("Top pages", "product")
    assert "User “zoe” in the last 7 days" in reason("Latest flagged", "security", typed={"User": "zoe"})
    assert "Type into User or Address" in reason(
        "Of the chosen user or address", "security", lacks_choice=("User", "Address")
    )
    assert "No metrics yet" in reason("Stored", has_metrics=False)
    assert reason("Topics left out") == "Nothing: that is good."
    assert reason("Alerts") == "No alert fires, and none is about to."
    assert reason("Full in") == "not in sight"
    assert reason("Retries by kind", since="1h") == "Nothing of this kind in the last hour."


def run(awaited: Awaitable[Any]) -> Any:
    async def waiting() -> Any:
        return await awaited

    return asyncio.run(waiting())


def test_a_page_without_prometheus_says_why_there_is_none() -> None:
    made = Asking(Prometheus(None, "prometheus is missing; make monitoring"), Database(None), {})
    found: Drawing = run(made.drawing(panel("Stored"), view("pipeline")))
    assert found.error == "There is no Prometheus here: prometheus is missing; make monitoring"
    assert run(made.drawing(panel("Alerts"), view("pipeline"))).error == found.error


def test_a_source_that_is_down_is_named_without_its_address_and_password() -> None:
    url = "postgresql://millrace_analyst:s3cret@127.0.0.1:9/millrace"
    made = Asking(Prometheus("http://me:s3cret@127.0.0.1:9"), Database(url), {})
    for title, board in (("Stored", "pipeline"), ("Top pages", "product")):
        found: Drawing = run(made.drawing(panel(title, board), view(board, type="login")))
        assert "does not answer" in found.error
        assert "s3cret" not in found.error


def test_a_query_that_prometheus_refuses_is_shown_as_its_error() -> None:
    source = Prometheus("http://127.0.0.1:9")
    answer = httpx.Response(400, json={"status": "error", "error": "parse error: unexpected )"})
    source.client = httpx.AsyncClient(base_url="http://x", transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(Unanswered, match="parse error"):
        run(source.at_once("sum(", 0))


def test_the_same_question_of_two_viewers_is_asked_once() -> None:
    asked: list[int] = []

    async def ask() -> int:
        await asyncio.sleep(0)
        asked.append(1)
        return len(asked)

    async def both() -> list[int]:
        now = [0.0]
        shared = Shared(4.0, lambda: now[0])
        first = await asyncio.gather(shared.get("q", ask), shared.get("q", ask), shared.get("other", ask))
        now[0] = 5.0
        return [*first, await shared.get("q", ask)]

    assert run(both()) == [1, 1, 2, 3]


def test_an_address_names_the_time_range_the_refresh_and_what_is_chosen() -> None:
    board: Board = boards()["millrace-security"]
    made = Asking(Prometheus(None), Database(None), {})
    query = {"from": ["now-2d"], "refresh": ["10s"], "var-user": ["zoe"], "var-unknown": ["x"]}
    page = Page(board, made, query)
    assert (page.view.since, page.view.variables["user"]) == ("2d", ("zoe",))
    assert "unknown" not in page.view.variables
    for nonsense in ("now-", "now-1y", "now-0h", "2026-01-01", "now-9999999d", "now-1h'--"):
        assert Page(board, made, {"from": [nonsense]}).view.since == board.since


@pytest.mark.parametrize("text", ["", "5", "h", "1w", "-1h", "1.5h", "0s"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time span"):
        seconds(text)


def test_nothing_on_a_page_is_fetched_from_elsewhere() -> None:
    for path in Path(asking.__file__).parent.iterdir():
        if path.suffix in (".css", ".js", ".py"):
            assert not re.search(r"https?://(?!127\.0\.0\.1)", path.read_text(encoding="utf-8")), path.name


def test_documents_are_shown_and_nothing_else() -> None:
    assert "# Architecture" in (server.document("architecture.md") or "")
    assert server.document("adr/0001-packages-at-the-root.md")
    for path in ("", "adr", "../README.md", "../.env.example", "/etc/hosts", "adr/../../README.md", "none.md"):
        assert server.document(path) is None
