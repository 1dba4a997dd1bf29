"""Every page of `millrace dashboard` in a real browser: every chart draws data and none shows an error.

Run by `make test-dashboards`; one of them is among the others in `test_dashboards`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import ViewportSize

from monitoring.dashboard.boards import boards
from tests.monitoring import demo_data
from tests.monitoring.browser import PHONE, WIDE, browsing, look, serving
from tests.monitoring.demo_data import analysts_url
from tests.monitoring.test_dashboards import EMPTY
from tests.support.world import World, encoded, event

pytestmark = [pytest.mark.dashboards, pytest.mark.services]

# Without a title's letter of the query, as `test_dashboards` has it; and an alert need not fire.
MAY_BE_EMPTY = {title.removesuffix(" A") for title in EMPTY} | {"Alerts"}


@pytest.fixture(scope="module")
def served(prometheus: str, shop: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {"MILLRACE_PROMETHEUS_URL": prometheus, "MILLRACE_ANALYST_URL": analysts_url(shop)}
    with serving(tmp_path_factory.mktemp("dashboard"), **settings) as url:
        yield url


@pytest.mark.parametrize(("size", "is_dark"), [(WIDE, False), (PHONE, True)], ids=["wide", "phone in the dark"])
@pytest.mark.parametrize("uid", list(boards()))
def test_every_panel_draws_what_there_is(served: str, uid: str, size: ViewportSize, is_dark: bool) -> None:
    with browsing(size, is_dark=is_dark) as page:
        seen = look(page, served, f"/d/{uid}")
        cut = page.locator(".value").evaluate_all("all => all.filter((v) => v.scrollWidth > v.clientWidth + 1).length")
    assert cut == 0, "a number is wider than its tile"
    assert set(seen.panels) == {panel.title for panel in boards()[uid].panels()}
    wrong = {title: panel for title, panel in seen.panels.items() if panel.state != "drawn"}
    assert {title: panel.text for title, panel in wrong.items() if title not in MAY_BE_EMPTY} == {}
    assert {panel.state for panel in wrong.values()} <= {"empty"}
    charts = ("kind-timeseries", "kind-bargauge", "kind-heatmap", "kind-state-timeline")
    drawn = [panel for panel in seen.panels.values() if any(kind in panel.kind for kind in charts)]
    assert drawn
    assert all(panel.is_painted for panel in drawn)
    assert seen.problems == []
    assert not seen.is_too_wide
    assert seen.background == ("rgb(17, 20, 24)" if is_dark else "rgb(243, 245, 247)")


def test_what_is_chosen_in_the_address_is_what_is_shown(served: str) -> None:
    path = "/d/millrace-security?var-user=zoe&from=now-30d&refresh=off"
    titles = ("Latest flagged", "Of the chosen user or address")
    with browsing(WIDE) as page:
        seen = look(page, served, path, titles)
        assert "zoe" in seen.panels[titles[0]].text
        assert "sam" not in seen.panels[titles[0]].text
        assert "198.51.100.66" in seen.panels[titles[1]].text
        nobody = look(page, served, path.replace("zoe", "nobody"), titles)
    assert "User “nobody” in the last 30 days" in nobody.panels[titles[0]].text


def test_a_link_in_a_table_narrows_the_page_to_that_user(served: str) -> None:
    with browsing(WIDE) as page:
        look(page, served, "/d/millrace-security", ["Latest flagged"])
        page.locator('[data-panel] a:text-is("zoe")').first.click()
        page.wait_for_url("**var-user=zoe**")
        page.wait_for_selector("text=198.51.100.66")


def test_a_longer_time_is_asked_for_when_it_is_chosen_and_stands_in_the_address(served: str) -> None:
    with browsing(WIDE) as page:
        look(page, served, "/d/millrace-security?from=now-15m", ["In this time"])
        page.wait_for_selector("text=Nothing in the last 15 minutes")
        page.get_by_label("Time range").click()
        page.get_by_role("option", name="last 30d").click()
        page.wait_for_url("**from=now-30d**")
        page.wait_for_selector(".kind-bargauge[data-state=drawn]")


def test_what_is_new_appears_by_itself(served: str, shop: World) -> None:
    with browsing(WIDE) as page:
        look(page, served, "/d/millrace-product?refresh=5s", ["Right now"])
        page.wait_for_selector("text=page_view")
        assert page.locator("text=button_click").count() >= 1
        shop.produce(encoded(*(event(kind="page_view") for _ in range(7))))
        shop.ingest()
        shop.refresh()
        page.wait_for_function("() => document.body.innerText.includes('27')")


def test_what_a_user_is_called_runs_nothing_in_who_looks_at_it(served: str, shop: World) -> None:
    name = "<img src=x onerror=\"document.title='planted'\">"
    payload = {"userId": name, "ip": "198.51.100.66", "device": name}
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()  # a page's time ends up to ten seconds before now
    shop.produce(encoded(*(event(kind="login", payload=payload, timestamp=at) for _ in range(3))))
    shop.ingest()
    shop.refresh()
    with browsing(WIDE) as page:
        seen = look(page, served, "/d/millrace-security", ["Users by addresses", "Latest flagged"])
        assert name in seen.panels["Users by addresses"].text
        assert page.locator("td img").count() == 0
        assert page.title() == "Millrace: Security"


def test_without_prometheus_and_without_events_every_panel_says_why(world: World, tmp_path: Path) -> None:
    demo_data.open_to_analysts(world)
    (tmp_path / "d").mkdir()
    with serving(tmp_path / "d", MILLRACE_ANALYST_URL=analysts_url(world)) as url, browsing(WIDE) as page:
        pipeline = look(page, url, "/d/millrace-pipeline", ["Stored", "Alerts", "Records by outcome"])
        assert {panel.state for panel in pipeline.panels.values()} == {"error"}
        assert all("There is no Prometheus here" in panel.text for panel in pipeline.panels.values())
        product = look(page, url, "/d/millrace-product", ["Top pages", "Events", "Retention by week"])
        assert all("No events yet" in panel.text for panel in product.panels.values())


@pytest.mark.parametrize("path", ["/runbook", "/docs/runbook.md"])
def test_a_link_to_a_section_of_a_document_shows_that_section(served: str, path: str) -> None:
    with browsing(WIDE) as page:
        page.goto(f"{served}{path}#millraceaggregatesstale")
        page.wait_for_function("() => scrollY > 1000")
        top = page.locator("#millraceaggregatesstale").bounding_box()
    assert top is not None
    assert -10 < top["y"] < 100


def test_the_pages_only_read(served: str, shop: World) -> None:
    with browsing(WIDE) as page, psycopg.connect(shop.settings.postgres_url) as connection:
        look(page, served, "/d/millrace-product", ["Top pages"])
        asked = connection.execute(
            "select distinct usename from pg_stat_activity where application_name = 'millrace-dashboard' "
            "and datname = current_database()"
        ).fetchall()
    assert asked == [("millrace_analyst",)]
