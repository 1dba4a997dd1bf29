"""Settings: one name, one clear line when one is wrong, before anything starts."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.settings import PLACES, Settings, SettingsError, load

GOOD = {
    "MILLRACE_POSTGRES_URL": "postgresql://me@localhost/db",
    "MILLRACE_REDIS_URL": "redis://localhost:6379/0",
    "MILLRACE_BROKER_URL": "redis://localhost:6380/0",
    "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092,[::1]:9092",
}


def test_four_settings_are_enough() -> None:
    assert load(GOOD).dedup_window == timedelta(hours=1)


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_one_is_named_with_an_example(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name}: is not set; for example {name}="):
        load({k: v for k, v in GOOD.items() if k != name})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MILLRACE_POSTGRES_URL", "mysql://x/y", "postgresql://"),
        ("MILLRACE_REDIS_URL", "localhost:6379", "redis://"),
        ("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", "localhost", "host:port"),
        ("MILLRACE_KAFKA_TOPICS", "a b", "topic names"),
        ("MILLRACE_KAFKA_TOPICS", ",", "topic names"),
        ("MILLRACE_KAFKA_TOPICS", "a,b,a", "a is there twice"),
        ("MILLRACE_KAFKA_TOPICS", "web.clicks,web-clicks", "web.clicks and web-clicks differ in"),
        ("MILLRACE_KAFKA_TOPICS", "a_b.c,x,a.b-c", "a_b.c and a.b-c differ in"),
        ("MILLRACE_KAFKA_TOPICS", "a,..", ".. is no name"),
        ("MILLRACE_KAFKA_OPTIONS", "[1]", "JSON object"),
        ("MILLRACE_DEDUP_WINDOW", "one hour", "duration"),
        ("MILLRACE_CHUNK_EVENTS", "many", "integer"),
        ("MILLRACE_LANES", "0", "greater than or equal to 1"),
        ("MILLRACE_ASSET_OWNERS", "insight", "team:<name>"),
        ("MILLRACE_HISTORY_START", "last year", "date"),
        ("MILLRACE_FRESHNESS", "1s", "greater than or equal to"),
    ],
)
def test_a_wrong_one_is_one_line_that_says_what_is_expected(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({**GOOD, name: value})
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{name}: ")
    assert said in line
    assert "for example" in line


def test_a_password_is_not_repeated_in_a_complaint() -> None:
    with pytest.raises(SettingsError) as caught:
        load({**GOOD, "MILLRACE_POSTGRES_URL": "mysql://me:hunter2@h/d"})
    assert "hunter2" not in str(caught.value)


def test_durations_lists_and_objects_are_written_as_people_write_them() -> None:
    found = load(
        {
            **GOOD,
            "MILLRACE_DEDUP_WINDOW": "90s",
            "MILLRACE_KAFKA_TOPICS": "a, b",
            "MILLRACE_KAFKA_OPTIONS": '{"socket.keepalive.enable": true}',
        }
    )
    assert (found.dedup_window, found.kafka_topics, found.kafka_options) == (
        timedelta(seconds=90),
        ("a", "b"),
        {"socket.keepalive.enable": "true"},
    )


@pytest.mark.parametrize(
    ("text", "oldest"),
    [
        ("", datetime(2000, 1, 1, tzinfo=UTC)),
        ("1995-05-23", datetime(1995, 5, 23, tzinfo=UTC)),
        ("1995-05-23T02:00:00+02:00", datetime(1995, 5, 23, tzinfo=UTC)),
        ("off", None),
    ],
)
def test_the_oldest_timestamp_is_a_date_a_time_or_off(text: str, oldest: datetime | None) -> None:
    assert load({**GOOD, "MILLRACE_MIN_TIMESTAMP": text}).min_timestamp == oldest


@pytest.mark.parametrize("text", ["2000", "never", "2000-01-01T00:00:00", "2000-13-01", "0"])
def test_an_oldest_timestamp_that_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match=r"MILLRACE_MIN_TIMESTAMP: expected a date such as 2000-01-01"):
        load({**GOOD, "MILLRACE_MIN_TIMESTAMP": text})


@pytest.mark.parametrize("command", ["reconcile", "migrate", "worker", "daemon"])
def test_a_command_with_wrong_settings_ends_with_code_2_and_says_which(command: str) -> None:
    arguments = [sys.executable, "-m", "orchestration.cli", command]
    done = subprocess.run(
        [*arguments, *(["ingest"] if command == "worker" else [])], env={}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "MILLRACE_POSTGRES_URL: is not set" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["reconcile", "migrate"])
def test_a_service_that_is_not_there_is_said_in_one_line(command: str) -> None:
    nowhere = {
        "MILLRACE_POSTGRES_URL": "postgresql://me:hunter2@127.0.0.1:1/db",
        "MILLRACE_REDIS_URL": "redis://127.0.0.1:1/0",
        "MILLRACE_BROKER_URL": "redis://127.0.0.1:1/0",
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    arguments = [sys.executable, "-m", "orchestration.cli", command]
    done = subprocess.run(arguments, env=nowhere, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_importing_the_definitions_reads_no_environment_and_opens_nothing() -> None:
    code = (
        "import socket; socket.socket.connect = lambda *a: exit(3)\n"
        "import orchestration.definitions, orchestration.cli, sensors.kafka_offsets"
    )
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_setting_has_a_meaning_and_an_example() -> None:
    assert all(f.description and f.examples for f in Settings.model_fields.values())


def test_the_defaults_that_the_example_file_shows_are_the_defaults() -> None:
    lines = (Path(__file__).parents[2] / ".env.example").read_text().splitlines()
    shown = dict(line.removeprefix("# ").split("=", 1) for line in lines if re.match(r"(# )?MILLRACE_", line))
    assert load({**shown, **GOOD}) == load(GOOD)


def test_what_is_given_stands_instead_of_the_environment_and_not_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_LANES", "7")
    assert load(PLACES).lanes == 2
