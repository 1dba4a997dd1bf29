"""What docs/security.md claims and no other test shows; and that each claim there names a test that there is."""

import ast
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,  # pyright: ignore[reportPrivateImportUsage]
    ConfigEntry,  # pyright: ignore[reportPrivateImportUsage]
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]
)

from orchestration.cli.processes import code_server, webserver
from orchestration.factories import make_kafka, make_metrics
from orchestration.settings import load
from producer.config import ProducerConfig
from resources.postgres import Postgres
from resources.redis import Redis
from tests.support.world import World, encoded, event, out_of_balance

ROOT = Path(__file__).parents[2]
CLAIMS = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`", CLAIMS)
SECRET = "hidden-from-everybody"
SETTINGS = {
    "MILLRACE_POSTGRES_URL": f"postgresql://u:{SECRET}@h/d",
    "MILLRACE_REDIS_URL": f"redis://:{SECRET}@h",
    "MILLRACE_BROKER_URL": f"redis://:{SECRET}@h",
    "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "h:1",
    "MILLRACE_KAFKA_OPTIONS": json.dumps({"sasl.password": SECRET}),
    "MILLRACE_PUSHGATEWAY_URL": f"http://u:{SECRET}@h",
}
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")


def page_view(user: str, page: str = "/") -> dict[str, object]:
    """A payload."""
    return {"userId": user, "page": page, "referrer": "", "device": ""}


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_a_claim_names_a_test_that_there_is(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_claim_names_a_test_or_says_that_there_is_none() -> None:
    rows = [line for line in CLAIMS.splitlines() if re.match(r"\| (?!claim \||---|from \||secret \|)", line)]
    claims = [row for row in rows if row.count("|") == 3]
    assert len(claims) > 25
    assert [row for row in claims if "::test_" not in row and "no test:" not in row] == []


@pytest.mark.services
def test_timestamps_of_long_ago_make_one_partition_and_those_ahead_none(world: World) -> None:
    days = "select count(*)::int from pg_partition_tree('raw.events') where isleaf"
    world.produce(encoded(event()))
    world.ingest()  # makes the days that are near
    before = world.one(days)
    past = [event(timestamp=f"{year:04}-01-01T00:00:00Z") for year in range(2, 2002, 10)]
    ahead = [event(timestamp=(datetime.now(UTC) + timedelta(days=n)).isoformat()) for n in range(1, 200)]
    world.produce(encoded(*past, *ahead))
    world.ingest(world.another_worker(min_timestamp=None))
    world.refresh()
    assert world.one(days) == before
    assert world.one("select count(*)::int from raw.events") == 1 + len(past)
    assert {code for _, code in world.dead_letters()} == {"timestamp_in_future"}
    assert world.one("select count(*)::int from ops.dirty_buckets") == 0


@pytest.mark.services
def test_what_a_producer_writes_reaches_no_log_and_breaks_no_line(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    nasty = f"{SECRET}\r\nERROR all is lost\x1b[2J\u2028\u202e"
    bad = [
        event(type=nasty),
        event(nasty),
        event(timestamp=nasty),
        event(payload={**page_view(nasty), "page": 7}),
        event(payload={nasty: 1}),
        event(payload={**page_view("u"), "userId": nasty * 30}),
    ]
    world.produce([*encoded(*bad), nasty.encode()], key=nasty.encode(), headers=[(SECRET, nasty.encode())])
    world.ingest()
    world.produce(encoded(event(payload=page_view(nasty, nasty)), event(payload=page_view("\U0001f600", "/x"))))
    world.ingest()
    world.refresh()
    name_in_kafkas_log(world, nasty)
    printed = capfd.readouterr()
    assert SECRET not in caplog.text + printed.out + printed.err
    logs = sorted((world.services.directory / "logs").glob("*.log*"))
    assert {"postgres", "redis", "kafka"} <= {path.name.partition(".")[0] for path in logs}
    assert [path.name for path in logs if SECRET in path.read_text(errors="replace")] == []
    kafka = (world.services.directory / "logs" / "kafka.log").read_text(errors="replace")
    assert "all is lost" in kafka
    assert [line for line in kafka.splitlines() if line.startswith("ERROR")] == []
    reasons = [str(reason) for (reason,) in world.query("select reason from raw.dead_letters")]
    assert len(reasons) >= 6
    assert [reason for reason in reasons if CONTROLS.search(reason)] == []


def name_in_kafkas_log(world: World, nasty: str) -> None:
    """A producer's transaction, whose id Kafka logs."""
    name = nasty.replace(SECRET, "x")
    producer = Producer({"bootstrap.servers": world.settings.kafka_bootstrap_servers, "transactional.id": name})
    producer.init_transactions(20)


@pytest.mark.services
def test_values_that_look_like_statements_are_values(world: World) -> None:
    attacks = ["'; drop table raw.events; --", "%(lane)s", "{}", "\\x00", "\\.", "$$", "a\tb", 'x" y', "1);flushall"]
    plain = [a for a in attacks if "\t" not in a]
    world.produce(encoded(*(event(a, payload=page_view(a, a)) for a in plain), event(payload=page_view("a\tb"))))
    world.ingest()
    world.ingest()
    world.refresh()
    assert {user for (user,) in world.query("select user_id from raw.events")} == set(attacks)
    assert {key for (key,) in world.query("select distinct page from analytics.page_views")} == {*plain, "/"}
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.services
def test_no_number_of_made_up_types_or_ids_makes_more_series(world: World) -> None:
    series = "select distinct metric, labels from ops.totals where metric !~ '_seconds$'"  # these have buckets
    world.produce(encoded(event(), event(type="made-up")))
    world.ingest()
    before = set(map(repr, world.query(series)))
    world.produce(encoded(*(event(type=f"made-up-{n}", payload=page_view(f"u{n}")) for n in range(300))))
    world.ingest()
    assert set(map(repr, world.query(series))) == before


@pytest.mark.services
def test_four_kilobytes_that_unpack_to_a_hundred_megabytes_stop_nothing_and_the_topic_can_refuse_them(
    world: World,
) -> None:
    large = {"message.max.bytes": 200_000_000, "compression.type": "zstd"}
    assert world.produce([b"0" * 101_000_000], options=large) == [0]  # more than librdkafka unpacks by itself
    world.produce(encoded(event()))
    world.ingest()
    assert world.dead_letters() == [(0, "too_large")]
    assert world.totals()["stored"] == 1
    set_on_topic(world, "compression.type", "uncompressed")
    assert world.produce([b"0" * 20_000_000], options=large) == [-1]


@pytest.mark.services
def test_a_time_of_kafkas_that_no_calendar_has_stops_nothing(world: World) -> None:
    set_on_topic(world, "message.timestamp.after.max.ms", str(2**63 - 1))
    stamps = [1, 253_402_300_800_000, 2**63 - 1, -62_135_596_800_001, -(2**62)]
    for stamp in stamps:
        assert -1 not in world.produce([*encoded(event()), b"no event"], timestamp=stamp)
    world.ingest()
    totals = world.totals()
    assert (totals["stored"], totals["dead_letters"]) == (len(stamps), len(stamps))
    assert out_of_balance(world.reconcile()) == []


def set_on_topic(world: World, name: str, value: str) -> None:
    """Change a setting of the topic."""
    change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ConfigResource.Type.TOPIC, world.topic, incremental_configs=[change])
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    admin.incremental_alter_configs([topic])[topic].result(10)


@pytest.mark.services
def test_a_thousand_headers_and_a_key_of_a_megabyte_are_kept_with_the_dead_letter(world: World) -> None:
    headers = [(f"h{n}", None if n % 2 else b"\xff" * 100) for n in range(1000)]
    world.produce([b"no event"], key=b"k" * 1_000_000, headers=headers)
    world.ingest()
    [row] = world.query("select length(key), cardinality(header_names), header_values[2] from raw.dead_letters")
    assert row == (1_000_000, 1000, None)


def test_nothing_that_holds_a_password_shows_it() -> None:
    settings = load(SETTINGS)
    config = ProducerConfig(bootstrap_servers="h:1", kafka_options=settings.kafka_options)
    held = (Postgres(settings.postgres_url), Redis(settings.redis_url), make_kafka(settings), make_metrics(settings))
    assert SECRET not in repr((*held, config))


@pytest.mark.parametrize("command", [webserver, code_server])
def test_what_knows_no_login_listens_on_loopback_unless_it_is_told_otherwise(command: click.Command) -> None:
    [host] = [each for each in command.params if each.name == "host"]
    assert host.default == "127.0.0.1"
