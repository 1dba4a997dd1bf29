"""Fast mode: cheap, but every message is an event of its own."""

import json
from datetime import UTC, datetime
from random import Random
from statistics import fmean
from uuid import UUID

from producer.encoding import event_ids
from producer.templates import ID_SLICE, Templates
from tests.producer.support import START_US


def test_ids_are_random_uuids_and_repeatable():
    text = event_ids(Random(3), 10_000).decode()
    ids = [text[at : at + 36] for at in range(0, len(text), 36)]
    assert len(set(ids)) == 10_000
    assert all(UUID(each).version == 4 and str(UUID(each)) == each for each in ids)
    assert event_ids(Random(3), 10_000).decode() == text


def test_every_message_is_whole_unique_of_its_time_and_of_realistic_size():
    templates = Templates(10_000, 1, START_US, size=3_000)
    due = [START_US + 999_000 + number for number in range(8_000)]
    made = templates.render(due[:5_000]) + templates.render(due[5_000:])
    assert 200 <= fmean(len(value) for _, value, _ in made) <= 250
    assert len({value[ID_SLICE] for _, value, _ in made}) == 8_000
    for at_us, (key, value, type_) in zip(due, made, strict=True):
        body = json.loads(value)
        assert body["eventId"] == value[ID_SLICE].decode()
        assert (body["type"], body["payload"]["userId"].encode()) == (type_, key)
        assert datetime.fromisoformat(body["timestamp"]) == datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(
            microsecond=at_us % 1_000_000
        )


def test_all_types_are_among_them_and_visits_take_time():
    made = Templates(10_000, 1, START_US, size=3_000).render([START_US] * 3_000)
    assert {type_ for _, _, type_ in made} == {"login", "logout", "page_view", "button_click", "form_submit"}
    durations = [json.loads(value)["payload"]["duration"] for _, value, type_ in made if type_ == "logout"]
    assert fmean(durations) > 1
