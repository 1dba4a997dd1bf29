"""Whatever is sent is stored as it was or dead-lettered with a code: arbitrary JSON, arbitrary bytes, real services."""

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.world import World, event, out_of_balance

pytestmark = pytest.mark.services

many = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

texts = st.text(max_size=30)
numbers = st.one_of(
    st.integers(),
    st.integers(min_value=-(10**300), max_value=10**300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40, places=12),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)


class _Exact(json.JSONEncoder):
    """Writes a Decimal as the number it is."""

    def iterencode(self, o: Any, _one_shot: bool = False) -> Any:
        return super().iterencode(_marked(o), _one_shot)


def _marked(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"@@{value:f}@@"
    if isinstance(value, dict):
        return {k: _marked(v) for k, v in value.items()}
    return [_marked(v) for v in value] if isinstance(value, list) else value


def written(value: Any, **style: Any) -> str:
    return _Exact(**style).encode(value).replace('"@@', "").replace('@@"', "")


def as_decimals(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _storable(value: Any) -> bool:
    return "\\u0000" not in json.dumps(value, default=str)


@given(st.lists(st.dictionaries(texts, values, max_size=4), min_size=1, max_size=40), st.booleans())
@many
def test_what_postgres_reads_back_is_what_was_sent(world: World, forms: list[dict[str, Any]], ascii_only: bool) -> None:
    sent: dict[uuid.UUID, str] = {}
    batch: list[bytes] = []
    for fields in forms:
        if not _storable(fields):
            continue
        payload = written({"userId": "u", "formId": "f", "fields": fields}, ensure_ascii=ascii_only)
        head = event(kind="form_submit", payload={})
        sent[uuid.UUID(head["eventId"])] = payload
        batch.append(json.dumps(head).replace('"payload": {}', '"payload": ' + payload).encode())
    world.produce(batch)
    world.ingest()
    stored = dict(world.query("select event_id, payload::text from raw.events where event_id = any(%s)", list(sent)))
    refused = world.query("select convert_from(value, 'utf8'), code from raw.dead_letters")
    for event_id, payload in sent.items():
        if event_id in stored:
            assert as_decimals(stored[event_id]) == as_decimals(payload)
        else:
            assert [c for v, c in refused if str(event_id) in v and c in ("invalid_value", "unstorable_text")]


@given(st.lists(st.tuples(st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=40)), max_size=60))
@many
def test_any_bytes_as_value_and_key_end_in_exactly_one_place(
    world: World, records: list[tuple[bytes | None, bytes | None]]
) -> None:
    before = world.totals()["records"]
    for value, key in records:
        world.produce([value], key=key)
    world.ingest()
    assert world.totals()["records"] - before == len(records)
    assert out_of_balance(world.reconcile()) == []


@given(st.lists(values, max_size=40))
@many
def test_any_json_ends_in_exactly_one_place(world: World, documents: list[Any]) -> None:
    before = world.totals()["records"]
    world.produce([written(d).encode("utf-8", "surrogatepass") for d in documents])
    world.ingest()
    assert world.totals()["records"] - before == len(documents)
    assert out_of_balance(world.reconcile()) == []
