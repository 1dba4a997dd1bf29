"""The views follow the contract: names, columns and types; whatever a payload holds, selecting it never fails."""

import json
import re
import uuid
from decimal import Decimal
from typing import Any, Literal

import psycopg
import pytest

from contract.constraints import Page
from contract.contract import Contract
from contract.types import Payload
from infra.postgres.create_views import create_views
from infra.postgres.migrate import migrate
from infra.postgres.views import view_name, views
from tests.support.world import World, encoded, event

services = pytest.mark.services


class NewThing(Payload):
    """A user has bought something."""

    item_count: int
    total: float
    is_gift: bool
    basket: dict[str, Any]
    event_id: str
    plan: Literal["free", "paid"] | None = None


CONTRACT = Contract().with_types(NewThing)


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        ("login", "logins"),
        ("form_submit", "form_submits"),
        ("new_thing", "new_things"),
        ("cart_delivery", "cart_deliveries"),
        ("survey", "surveys"),
        ("search", "searches"),
        ("tax", "taxes"),
        ("session", "session_events"),
        ("user_profile", "user_profile_events"),
    ],
)
def test_a_view_is_named_by_the_plural_of_its_type_unless_a_table_has_that_name(event_type: str, name: str) -> None:
    assert view_name(event_type) == name


def test_two_types_that_would_share_a_view_are_refused() -> None:
    class Match(Payload):
        """One."""

    class Matche(Payload):
        """Another."""

    with pytest.raises(ValueError, match="matches"):
        views(Contract([Match, Matche]))


def store(world: World, kind: str, payload: str, at: str = "2026-11-02T10:00:00Z") -> None:
    world.query(
        "insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition,"
        " kafka_offset) values (%s, %s, %s, 'u', %s, %s, 0, 0)",
        *(uuid.uuid4(), at, kind, payload, uuid.uuid4()),
    )


def columns(world: World, view: str) -> dict[str, str]:
    return dict(
        world.query(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = to_regclass(%s) and attnum > 0 order by attnum",
            f"analytics.{view}",
        )
    )


@services
def test_a_new_type_gets_its_view_with_typed_columns_comments_and_the_analysts_right_to_read_it(world: World) -> None:
    migrate(world.settings.postgres_url, contract=CONTRACT)
    assert columns(world, "new_things") == {
        "event_id": "uuid",
        "occurred_at": "timestamp with time zone",
        "user_id": "text",
        "item_count": "bigint",
        "total": "numeric",
        "is_gift": "boolean",
        "basket": "jsonb",
        "payload_event_id": "text",
        "plan": "text",
        "extra": "jsonb",
        "kafka_topic": "text",
        "ingested_at": "timestamp with time zone",
    }
    assert world.one("select obj_description('analytics.new_things'::regclass)").startswith(
        "A user has bought something."
    )
    assert world.one("select has_table_privilege('millrace_analyst', 'analytics.new_things', 'SELECT')")
    assert world.one("select count(*) from analytics.live where type = 'new_thing'") == 1


@services
def test_values_come_out_typed_and_unknown_fields_in_extra(world: World) -> None:
    migrate(world.settings.postgres_url, contract=CONTRACT)
    payload = {"userId": "u", "itemCount": 3, "total": 9.50, "isGift": False, "basket": {"a": [1]}, "eventId": "x"}
    store(world, "new_thing", json.dumps({**payload, "coupon": "c", "nested": {"b": None}}))
    store(world, "login", json.dumps({"userId": "u", "ip": "::1"}))
    [row] = world.query(
        "select item_count, total, is_gift, basket, payload_event_id, plan, extra from analytics.new_things"
    )
    assert row == (3, Decimal("9.5"), False, {"a": [1]}, "x", None, {"coupon": "c", "nested": {"b": None}})
    assert world.query("select ip, device, extra from analytics.logins") == [("::1", None, {})]


ODD = [None, True, "text", "", 1, -0.0, 1.5, [], {}, [1], {"a": 1}]
ODD_NUMBERS = ["1e400", "-1e400", "1e-400", "9223372036854775807", "9223372036854775808", "-9223372036854775809"]


@services
def test_selecting_never_fails_whatever_the_payload_holds(world: World) -> None:
    migrate(world.settings.postgres_url, contract=CONTRACT)
    names = [field.name for field in CONTRACT["new_thing"].fields]
    for text in [*map(json.dumps, ODD), *ODD_NUMBERS]:
        store(world, "new_thing", "{" + ", ".join(f'"{name}": {text}' for name in names) + "}")
        store(world, "new_thing", text)
    assert len(world.query("select * from analytics.new_things")) == 2 * len(ODD + ODD_NUMBERS)
    whole = world.query("select item_count from analytics.new_things where item_count is not null order by 1")
    assert whole == [(0,), (1,), (9223372036854775807,)]
    assert world.one("select count(total) from analytics.new_things") == 3 + len(ODD_NUMBERS)


@services
def test_a_second_migrate_touches_no_view(world: World) -> None:
    before = world.query(
        "select oid, xmin from pg_class where relnamespace = 'analytics'::regnamespace and relkind = 'v'"
    )
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as owner:
        assert create_views(owner, views(Contract())) == []
    after = world.query(
        "select oid, xmin from pg_class where relnamespace = 'analytics'::regnamespace and relkind = 'v'"
    )
    assert len(before) == len(views(Contract()))
    assert after == before


@services
def test_a_type_that_changes_replaces_its_view_and_keeps_the_grants_on_it(world: World) -> None:
    migrate(world.settings.postgres_url, contract=CONTRACT)
    world.query("grant select on analytics.new_things to public; grant insert on analytics.new_things to pg_monitor")

    class NewThing(Payload):  # the same type, grown and shrunk
        """A user has bought something."""

        item_count: int
        shop: Page

    migrate(world.settings.postgres_url, contract=Contract().with_types(NewThing))
    assert list(columns(world, "new_things")) == [
        *("event_id", "occurred_at", "user_id", "item_count", "shop", "extra", "kafka_topic", "ingested_at")
    ]
    acl = world.query(
        "select case grantee when 0 then 'public' else grantee::regrole::text end, privilege_type"
        " from pg_class, aclexplode(relacl) where oid = 'analytics.new_things'::regclass and grantee <> relowner"
    )
    assert set(acl) >= {("public", "SELECT"), ("pg_monitor", "INSERT"), ("millrace_analyst", "SELECT")}


@services
def test_a_view_of_a_type_that_is_gone_is_dropped_and_one_of_somebody_else_is_left_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(world.settings.postgres_url, contract=CONTRACT)
    world.query("create view analytics.mine as select 1 as a; create view analytics.odd_things as select 2 as b")

    class OddThing(Payload):
        """Something odd."""

    migrate(world.settings.postgres_url, contract=Contract().with_types(OddThing))
    assert columns(world, "new_things") == {}
    assert columns(world, "mine") == {"a": "integer"}
    assert columns(world, "odd_things") == {"b": "integer"}
    assert "analytics.odd_things is not ours" in caplog.text


@services
def test_a_view_that_another_one_stands_on_is_kept_with_a_warning(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(world.settings.postgres_url, contract=CONTRACT)
    world.query("create view public.report as select total from analytics.new_things")
    migrate(world.settings.postgres_url)
    assert "total" in columns(world, "new_things")
    assert "analytics.new_things stays as it is" in caplog.text
    assert "report" in caplog.text


@services
def test_a_view_that_was_changed_by_hand_is_put_right(world: World) -> None:
    world.query(
        "create or replace view analytics.freshness as"
        " select hour, 0::bigint as events, marked_at as waiting_since, 0::float8 as waiting_seconds,"
        " ''::text as aggregate, 0::bigint as missing_days, null::date as oldest_missing, null::date as newest_missing,"
        " null::text[] as groups from ops.dirty_buckets"
    )
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as owner:
        assert create_views(owner, views(Contract())) == ["freshness"]


@services
def test_a_condition_on_the_time_reads_only_the_partitions_that_it_needs(world: World) -> None:
    world.query("drop table raw.events_old")
    world.query("create table raw.events_old partition of raw.events for values from (minvalue) to ('2026-11-01')")
    for day in range(1, 9):
        world.query(
            f"create table raw.events_2026110{day} partition of raw.events"
            f" for values from ('2026-11-0{day}') to ('2026-11-0{day + 1}')"
        )
    store(world, "login", '{"userId": "u", "ip": "::1"}')
    for condition in (
        "occurred_at >= timestamptz '2026-11-02' and occurred_at < timestamptz '2026-11-03'",
        "occurred_at >= date '2026-11-02' and occurred_at < date '2026-11-03'",
        "occurred_at between '2026-11-02' and '2026-11-02 23:59'",
    ):
        assert partitions_read(world, f"select ip from analytics.logins where {condition}") == {"events_20261102"}
    assert len(partitions_read(world, "select ip from analytics.logins")) == 9


def partitions_read(world: World, query: str) -> set[str]:
    """The partitions that were really scanned, not only planned for."""
    with psycopg.connect(world.settings.postgres_url, options="-c timezone=UTC") as session:
        plan = "\n".join(
            line for (line,) in session.execute(f"explain (analyze, costs off, timing off) {query}".encode())
        )
    read = "\n".join(line for line in plan.splitlines() if "never executed" not in line)
    return set(re.findall(r"\bon (events_\d{8}|events_old)\b", read))


@services
def test_live_counts_the_last_full_minutes_and_the_running_one(world: World) -> None:
    world.query(
        "insert into analytics.events_minutely select date_trunc('minute', now()) - make_interval(mins => n), 'login',"
        " 1000 + n from generate_series(0, 70) as n"
    )
    [row] = world.query(
        "select running_minute, last_minute, last_5_minutes, last_60_minutes, per_second, seconds_since"
        " from analytics.live where type = 'login'"
    )
    assert row[:4] == (1000, 1001, 5015, sum(range(1001, 1061)))
    assert row[4] == Decimal("16.72")
    assert 0 <= row[5] < 60
    assert world.query("select * from analytics.live where type = 'logout'") == [
        ("logout", None, None, 0, 0, 0, 0, Decimal("0.00"))
    ]


@services
def test_freshness_shows_the_hours_that_wait_and_since_when(world: World) -> None:
    world.query(
        "insert into ops.dirty_buckets (hour, low, high, events, event_ids, marked_at)"
        " select '2026-11-02 10:00Z', now(), now(), n, array[gen_random_uuid()], now() - make_interval(secs => n)"
        " from generate_series(1, 3) as n"
    )
    [(hour, events, seconds)] = world.query(
        "select to_char(hour at time zone 'utc', 'HH24:MI'), events, waiting_seconds from analytics.freshness"
    )
    assert (hour, events) == ("10:00", 6)
    assert 3 <= seconds < 30


def test_every_column_of_every_view_has_a_comment() -> None:
    assert all(column.comment for view in views(CONTRACT) for column in view.columns)


@services
def test_the_view_of_dead_letters_shows_nothing_that_a_record_held(world: World) -> None:
    """A reason quotes values and the keys that a producer has made up: only the declared field is taken of it."""
    ann = "ann@example.org"
    bad = [
        event(ann, kind=ann),
        event(timestamp=ann),
        event(payload={"userId": 7, ann: 1}),
        event(payload={"userId": ann, "page": "p" * 2_001, "device": ann}),
        event(kind="form_submit", payload={"userId": "u", "formId": "f", "fields": {ann: "\ud800"}}),
        event(payload={"userId": "u", "page": "/", f"{ann}: expected {ann}": "\ud800"}),
    ]
    values = [*encoded(*bad), f'{{"{ann}":1,"{ann}":2}}'.encode(), ann.encode(), b"\xff" + ann.encode()]
    world.produce(values, key=ann.encode(), headers=[(ann, ann.encode())])
    world.ingest()
    rows = world.query("select * from analytics.dead_letters order by kafka_offset")
    assert len(rows) == len(values)
    assert "ann" not in repr(rows)
    found = world.query("select code, path, value_bytes from analytics.dead_letters order by kafka_offset")
    assert found == [
        ("unknown_type", "$.type", len(values[0])),
        ("invalid_timestamp", "$.timestamp", len(values[1])),
        ("wrong_type", "$.payload.userId", len(values[2])),
        ("invalid_value", "$.payload.page", len(values[3])),
        ("unstorable_text", "$.payload.fields", len(values[4])),
        ("unstorable_text", "$.payload", len(values[5])),
        ("invalid_value", "$", len(values[6])),
        ("not_json", "$", len(values[7])),
        ("not_utf8", "$", len(values[8])),
    ]
