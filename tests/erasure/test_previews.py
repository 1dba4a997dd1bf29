"""What was shown in Dagster's user interface keeps no text of an erased user."""

import json
from pathlib import Path

import dagster as dg
import pytest

from assets.aggregates import preview
from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.specs import asset_key
from assets.erasure import previews
from tests.erasure.support import SECRET, erase, of
from tests.support.world import World, encoded, event
from tests.upkeep.dagster_tables import instance_in

pytestmark = pytest.mark.services


def told(instance: dg.DagsterInstance, text: str, partition: str | None = None) -> None:
    """As a release before this one did."""
    shown = {"newest_rows": dg.MetadataValue.md(text), "dagster/row_count": 7}
    for name in ("pages_hourly", "user_days", "sessions"):
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_key(name), partition=partition, metadata=shown)
        )


def everything(world: World) -> str:
    """All that Dagster keeps in tables of text."""
    rows = world.query(
        "select event from dagster.event_logs union all select last_materialization from dagster.asset_keys"
    )
    return json.dumps(rows)


def test_no_preview_shows_an_id_or_a_text_that_a_producer_sent(world: World) -> None:
    texts = {"userId": SECRET, "page": f"/{SECRET}", "referrer": f"https://{SECRET}", "device": SECRET}
    marks = {"buttonId": SECRET, "formId": SECRET, "fields": {SECRET: SECRET}, "ip": "192.0.2.77", "duration": 1}
    kinds = ("login", "logout", "page_view", "button_click", "form_submit")
    world.produce(encoded(*(event(kind=kind, payload={**texts, **marks}) for kind in kinds)))
    world.ingest()
    assert world.one("select count(*) from raw.events") == len(kinds)
    world.refresh()
    with world.worker.postgres.connect("test") as connection:
        shown = {name: preview.newest_rows(connection, name) for name in AGGREGATES}
    assert [name for name, text in shown.items() if SECRET in text or "192.0.2.77" in text] == []
    assert [name for name, text in shown.items() if "|" not in text] == []


def test_an_erasure_removes_the_texts_that_earlier_releases_showed(world: World, tmp_path: Path) -> None:
    world.produce(encoded(of(SECRET)))
    world.ingest()
    with instance_in(world.settings.postgres_url, tmp_path / "dagster") as instance:
        told(instance, f"| hour |\n\n{preview.WITHOUT_TEXTS}", "2026-01-01-01:00")
        for partition in (None, "2026-01-01-00:00"):
            told(instance, f'| text |\n| --- |\n| /"{SECRET} \\| ö |', partition)
        assert everything(world).count(SECRET) == 6 + 3
        erase(world)
        assert SECRET not in everything(world)
        newest = instance.get_latest_materialization_event(dg.AssetKey(["analytics", "pages_hourly"]))
        kept = instance.fetch_materializations(dg.AssetKey(["analytics", "pages_hourly"]), limit=9).records
    assert newest is not None
    metadata = [each.asset_materialization.metadata for each in kept if each.asset_materialization]
    shown = [str(each["newest_rows"].value) for each in metadata]
    assert shown == [preview.WITHOUT_TEXTS, preview.WITHOUT_TEXTS, f"| hour |\n\n{preview.WITHOUT_TEXTS}"]
    assert [each["dagster/row_count"].value for each in metadata] == [7, 7, 7]
    with world.worker.postgres.connect("test") as connection:
        assert previews.remove(connection) == 0


def test_without_dagsters_tables_there_is_nothing_to_remove(world: World) -> None:
    with world.worker.postgres.connect("test") as connection:
        assert previews.remove(connection) == 0
